"""Rules that tie the `ensemble` section to itself and to the rest of a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shoal.run.ensemble_section import FixedWeighting, StackingWeighting, TimeTableWeighting
from shoal.run.members_section import members_rules
from shoal.run.reading import Key
from shoal.run.sharing_section import sharing_rules

if TYPE_CHECKING:
    from shoal.run.schema import Config


def ensemble_rules(config: Config) -> Iterator[tuple[Key, str]]:
    """What is wrong between the ensemble's own values, or with the rest."""
    ensemble = config.ensemble
    if not ensemble.enabled:
        return  # one model, as if there were no ensembles
    if config.base_seed + config.n_members > 2**32:
        yield ("ensemble", "base_seed"), "base_seed + n_models must be below 2**32; lower it"
    yield from _regime_rules(config)
    yield from _weighting_rules(config)
    yield from sharing_rules(config)
    yield from members_rules(config)


_BY_NAME = ("joint", "negative_correlation", "correlation", "gradient_boosting", "adaboost")


def _regime_rules(config: Config) -> Iterator[tuple[Key, str]]:
    regime, weighting = config.ensemble.regime, config.ensemble.weighting
    place = ("ensemble", "regime", "kind")
    if regime.kind == "negative_correlation" and config.training.loss in ("mae", "huber"):
        yield (
            place,
            f"'negative_correlation' is not defined for the loss {config.training.loss!r}, which "
            "grows slower than its reward; remove training.loss, or use 'correlation'",
        )
    if regime.kind in _BY_NAME and ":" in (config.training.loss or ""):
        yield (
            place,
            f"{regime.kind!r} needs a loss by name, since a function of one member's answer says "
            "nothing of the crowd's; take 'independent', or a named loss",
        )
    if regime.kind in ("gradient_boosting", "adaboost") and weighting.kind != "uniform":
        yield (
            ("ensemble", "weighting", "kind"),
            f"{weighting.kind!r} cannot weigh members of {regime.kind!r}, which brings its own "
            "weights; remove ensemble.weighting",
        )
    if regime.kind == "gradient_boosting" and config.model.likelihood == "normal":
        yield place, "'gradient_boosting' adds up numbers; set model.likelihood: point"


def _weighting_rules(config: Config) -> Iterator[tuple[Key, str]]:
    ensemble, place = config.ensemble, ("ensemble", "weighting", "kind")
    kind, classes = ensemble.weighting.kind, config.data.task == "classification"
    if kind == "hard_vote" and not classes:
        yield place, f"'hard_vote' counts votes for classes; the task is {config.data.task!r}"
    if kind == "confidence" and not classes and config.model.likelihood != "normal":
        yield (
            place,
            "'confidence' needs members that say how sure they are; set model.likelihood: normal",
        )
    if kind == "pair" and ensemble.weighting.of == "horizon" and config.data.task != "forecast":  # type: ignore[union-attr]
        yield (
            ("ensemble", "weighting", "of"),
            f"'horizon' is of forecasts; the task is {config.data.task!r}: use 'last'",
        )
    if kind == "pair" and config.n_members != 2:
        yield place, f"'pair' is for 2 members, found {config.n_members}; use 'time_table'"
    if isinstance(ensemble.weighting, StackingWeighting):
        yield from _stacking_rules(ensemble.weighting, classes)
    if isinstance(ensemble.weighting, TimeTableWeighting):
        yield from _table_rules(ensemble.weighting, config.n_members)
    likely = config.model.likelihood == "normal" or config.training.loss == "normal_nll"
    if ensemble.weighting.kind == "inverse_loss" and likely:
        yield (
            ("ensemble", "weighting", "kind"),
            "'inverse_loss' needs losses above 0, which likelihoods are not; use 'softmax_loss'",
        )
    if isinstance(ensemble.weighting, FixedWeighting):
        weights = ensemble.weighting.weights
        if len(weights) != config.n_members:
            yield (
                ("ensemble", "weighting", "weights"),
                f"there must be one per member ({config.n_members}), found {len(weights)}",
            )
        if sum(weights) <= 0:
            yield ("ensemble", "weighting", "weights"), "one must be above 0; they are all 0"


def _stacking_rules(weighting: StackingWeighting, classes: bool) -> Iterator[tuple[Key, str]]:
    if weighting.meta == "logistic" and not classes:
        yield (
            ("ensemble", "weighting", "meta"),
            "'logistic' is for classes; use 'linear' or 'mlp'",
        )
    for name in ("order", "gap"):
        if getattr(weighting, name) and weighting.folds is None:
            yield (
                ("ensemble", "weighting", name),
                "is of folds, and there are none; add `folds: 5`, or remove it",
            )
    if weighting.gap and weighting.order == "shuffled":
        yield ("ensemble", "weighting", "gap"), "is of folds in time; set order: time, or remove it"


def _table_rules(weighting: TimeTableWeighting, members: int) -> Iterator[tuple[Key, str]]:
    edges, table = weighting.edges, weighting.table
    if sorted(set(edges)) != edges:
        yield ("ensemble", "weighting", "edges"), f"must ascend, found {edges}; sort them"
    if table is None:
        return
    place = ("ensemble", "weighting", "table")
    if {len(row) for row in table} != {members}:
        yield place, f"every row must have one weight per member ({members})"
    if not all(sum(row) > 0 for row in table):
        yield place, "every row must have a weight above 0; write 1 for all members to count alike"
    if len(table) != len(edges) + 1:
        yield place, f"must have {len(edges) + 1} rows, one more than edges, found {len(table)}"
