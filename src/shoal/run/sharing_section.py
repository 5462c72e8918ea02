"""The section `ensemble.sharing`: matrices that members have in common, and its rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from shoal.run.reading import Key
from shoal.run.sections import Positive, Section

if TYPE_CHECKING:
    from shoal.run.schema import Config


class NoSharing(Section):
    """Every member has its own matrices."""

    kind: Literal["none"] = "none"


class _Sharing(Section):
    """What members with common matrices may choose."""

    start: Literal["signs", "normal"] = "signs"
    spread: Positive = 0.5
    fast_rate: Positive = 1.0


class BatchEnsembleSharing(_Sharing):
    """Common matrices, tuned by vectors that start from random signs."""

    kind: Literal["batch_ensemble"]
    rows: Literal["divided", "all"] = "divided"


class TabMSharing(_Sharing):
    """Common matrices; only what members read starts differently, and each has its own head."""

    kind: Literal["tabm"]
    rows: Literal["divided", "all"] = "all"


Sharing = Annotated[NoSharing | BatchEnsembleSharing | TabMSharing, Field(discriminator="kind")]


def sharing_rules(config: Config) -> Iterator[tuple[Key, str]]:
    """What members that share matrices cannot do."""
    ensemble, sharing = config.ensemble, config.ensemble.sharing
    if isinstance(sharing, NoSharing):
        return
    kind, place = ensemble.regime.kind, ("ensemble", "sharing", "kind")
    if kind in ("snapshot", "gradient_boosting", "adaboost"):
        yield (
            place,
            f"{sharing.kind!r} trains all members at the same time, {kind!r} one after the other; "
            "remove one of the two",
        )
    if kind in ("joint", "negative_correlation", "correlation") and sharing.rows == "divided":
        yield (
            ("ensemble", "sharing", "rows"),
            f"{kind!r} compares all members' answers to a row, which 'divided' shows to one of "
            "them; set it to all",
        )
    if sharing.rows == "divided" and config.training.batch_size < config.n_members:
        yield (
            ("ensemble", "sharing", "rows"),
            "'divided' leaves members without a row: training.batch_size is "
            f"{config.training.batch_size} for {config.n_members} members; raise it",
        )
    if getattr(ensemble.regime, "features", 1.0) != 1.0:
        yield place, "members that share matrices see the same features; remove regime.features"
    if not getattr(config.model, "implicit_param_constraints", True):
        yield place, "matrices in common cannot be clipped; set implicit_param_constraints: true"
