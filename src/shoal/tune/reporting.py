"""The report of a search, from its outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shoal.report.search import Path, SearchResults, Trial, render_search
from shoal.run import files
from shoal.tune.dimensions import Choice, Dimension, label
from shoal.tune.outcome import Outcome, Tried
from shoal.tune.plan import TunePlan

_TOLD = ("epochs", "best_epoch", "seconds")


def write_report(plan: TunePlan, outcome: Outcome) -> None:
    """`report.html`, whole or not at all."""
    files.write_text(plan.folder.report, render_search(search_results(plan, outcome)))


def search_results(plan: TunePlan, outcome: Outcome) -> SearchResults:
    """What the report is made from."""
    folder = plan.folder
    held_out = json.loads(folder.comparison.read_text()) if folder.comparison.is_file() else {}
    tune = plan.tune.model_dump(mode="json", exclude={"space"}, exclude_none=True)
    return SearchResults(
        name=plan.config.name,
        metrics=outcome.metrics,
        directions=outcome.directions,
        paths=[_path(name, own) for name, own in outcome.space.dimensions.items()],
        trials=[_trial(one) for one in outcome.trials],
        importances=importances(outcome),
        comparison=held_out.get("rows", ()),
        compared=_compared(held_out),
        best=folder.best.read_text() if folder.best.is_file() else "",
        facts={"folder": str(folder.path), **tune},
    )


def importances(outcome: Outcome) -> dict[str, float]:
    """Each path's share in telling good trials from the rest; empty where too few are complete.

    Of paths that every trial has, for the first metric. Source: Watanabe, Bansal & Hutter,
    "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces", 2023.
    """
    import optuna

    if len(outcome.ranked) < 8:
        return {}
    target = None if len(outcome.metrics) == 1 else (lambda trial: trial.values[0])
    try:
        found = optuna.importance.get_param_importances(
            outcome.study, evaluator=optuna.importance.PedAnovaImportanceEvaluator(), target=target
        )
    except (ValueError, RuntimeError):  # nothing varies, or all values are equal
        return {}
    total = sum(found.values())
    return {path: share / total for path, share in found.items()} if total > 0 else {}


def _path(name: str, own: Dimension) -> Path:
    if isinstance(own, Choice):
        return Path(name, choices=[str(one) for one in own.labels])
    return Path(name, log=own.log)


def _trial(one: Tried) -> Trial:
    point = {path: _shown(value) for path, value in one.point.items()}
    curve = {int(epoch): float(v) for epoch, v in (one.facts.get("curve") or {}).items()}
    told = {name: one.facts.get(name) for name in _TOLD}
    reason = str(one.facts.get("reason") or "")
    return Trial(one.number, one.state, point, one.values, curve, reason, told)


def _shown(value: Any) -> Any:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return value if plain else str(label(value))


def _compared(held_out: Mapping[str, Any]) -> str:
    if "difference" not in held_out:
        return ""
    mean, error = held_out["difference"], held_out["standard_error"]
    return (
        f"On {held_out['count']} rows of the {held_out['block']} block, which no trial has seen, "
        f"the best's error less the start's is {mean:+.3g} ± {error:.2g}, the mean over rows ± its "
        "standard error."
    )
