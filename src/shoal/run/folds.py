"""Out-of-fold predictions of a run: members trained once more on folds, where stacking asks for it.

Folds are cut from the training block before anything is trained, so that folds that leak, or for
which there are too few rows, are refused at once. Their training has checkpoints of its own, in a
folder beside those of the members.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.run.errors import Refused, refusing
from shoal.run.members import fit_options, new_population
from shoal.run.schema import Config

if TYPE_CHECKING:
    from shoal.collective import OutOfFold
    from shoal.data import Prepared
    from shoal.population import Fitted

_PLACE = "ensemble.weighting.folds"


def fold_options(config: Config) -> dict[str, Any] | None:
    """How the training rows are folded; None where nothing asks for it."""
    weighting = config.ensemble.weighting
    if not config.ensemble.enabled or getattr(weighting, "folds", None) is None:
        return None
    return {name: getattr(weighting, name) for name in ("folds", "order", "gap", "seed")}


def check_folds(config: Config, prepared: Prepared) -> None:
    """Refuses folds that leak, or that the training block is too small for."""
    from shoal.data.folds import make_folds

    options = fold_options(config)
    if options is not None:
        with refusing(_PLACE):
            make_folds(prepared.train, options.pop("folds"), **options)


def fold_predictions(
    config: Config,
    prepared: Prepared,
    *,
    checkpoints: Path | None = None,
    data_hash: str = "",
    force: bool = False,
    should_stop: Callable[[], bool] | None = None,
) -> OutOfFold | None:
    """What the members say of training rows that they were trained without; None if not asked for.

    Args:
        checkpoints: where the training is saved, and goes on from; None for nowhere.
        data_hash, force: of the checkpoint.
        should_stop: asked after every epoch.
    """
    from shoal.collective import out_of_fold

    options = fold_options(config)
    if options is None:
        return None
    training = fit_options(config, checkpoints or Path(), data_hash, force)
    if checkpoints is None:
        training["checkpoint"] = None
    with refusing(_PLACE):
        return out_of_fold(
            new_population(config, prepared),
            prepared.train,
            prepared.valid,
            scaling=prepared.scaling,
            should_stop=should_stop,
            **options,
            **training,
        )


def without_diverged(fitted: Fitted, found: OutOfFold | None) -> Fitted:
    """The members, those marked as diverged that had no finite loss in some fold.

    Raises:
        Refused: nobody is left.
    """
    if found is None:
        return fitted
    status = [dict(one) for one in fitted.status]
    for member, fold in found.diverged:
        reason = f"had no finite loss when it was trained on fold {fold} for the weighting"
        status[member] |= {"status": "diverged", "usable": False, "reason": reason}
    if not any(one["usable"] for one in status):
        raise Refused(
            f"{_PLACE}: every member had no finite loss on some fold; lower "
            "training.learning_rate, set training.clip_norm, or remove `folds`"
        )
    return replace(fitted, status=status)
