"""All scores of a prediction, as a plain dict that JSON can hold.

    {"rows", "task", "calibrated", "overall": {...}, "per_horizon": [{...}, ...],
     "per_target": [{...}, ...], "members": {"rmse": [...], ...}, "diversity": {...},
     "reliability": {"level": [...], "coverage": [...], ...}, "calibration": {...}}

`overall` and its parts are the crowd's errors, `members` those of each alone, `diversity` what lies
between the two, `reliability` a table of what was promised and found, and `calibration` the same in
single numbers. A forecast (rows, horizon, targets) has both tables of parts, a regression (rows,
targets) the second, and classes neither. A number that cannot be had (no truth, no density, the
diversity of a single member) is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shoal.equations.intervals import check_level
from shoal.equations.members import check_members
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.prediction import Prediction
from shoal.score import classes
from shoal.score.distribution import crps_mixture, crps_normal, nll_mixture, nll_normal
from shoal.score.points import bias, coverage, mae, masked_mean, member_scores, rmse, skill, width
from shoal.score.summary import calibration_summary, diversity_summary, reliability_summary
from shoal.score.summary import number as _number

LEVELS = (0.5, 0.8, 0.9, 0.95)


def evaluate(
    prediction: Prediction,
    y,
    y_mask=None,
    *,
    levels: Sequence[float] = LEVELS,
    baseline=None,
) -> dict[str, Any]:
    """Every score of a prediction against the truth, in the units of the targets.

    Args:
        prediction: of a collective.
        y: (rows, horizon, targets), (rows, targets) or class labels (rows,).
        y_mask: True where the truth was observed; NaN in `y` counts as unobserved.
        levels: of the intervals to check.
        baseline: another forecast of `y`'s shape; adds `baseline_rmse` and `skill`.

    Raises:
        ValueError: the shapes of prediction and truth differ, or a member's answer is not finite.

    >>> import numpy as np
    >>> from shoal.equations.prediction import Prediction
    >>> p = Prediction(np.array([[[1.0], [1.0]], [[3.0], [3.0]]]), np.array([0.5, 0.5]))
    >>> found = evaluate(p, np.array([[2.0], [4.0]]), levels=[0.9])
    >>> found["overall"]["mae"], found["members"]["mae"], found["overall"]["coverage"]
    (1.0, [2.0, 1.0], {'0.9': 0.5})
    """
    check_members(prediction.outputs)
    if isinstance(prediction.outputs, Categorical):
        return _evaluate_classes(prediction, y)
    y = np.asarray(y, float)
    if y.shape != prediction.mean.shape:
        raise ValueError(
            f"`y` must have the prediction's shape {prediction.mean.shape}, got {y.shape}"
        )
    columns = _columns(prediction, y, [check_level(level) for level in levels])
    table = _Table(prediction, y, y_mask, columns, baseline)
    bounds = {float(name): ends for name, ends in columns["intervals"].items()}
    reliability = reliability_summary(bounds, y, y_mask)
    result: dict[str, Any] = {
        "rows": len(y),
        "task": "forecast" if y.ndim == 3 else "regression",
        "calibrated": prediction.calibrated,
        "overall": table.row(...),
        "members": _members(prediction, y, y_mask),
        "diversity": diversity_summary(prediction, y, y_mask),
        "reliability": reliability,
        "calibration": calibration_summary(prediction, y, y_mask, reliability),
    }
    if y.ndim == 3:
        result["per_horizon"] = [table.row((slice(None), h)) for h in range(y.shape[1])]
    if y.ndim > 1:
        result["per_target"] = [table.row((..., d)) for d in range(y.shape[-1])]
    return result


def flatten(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A table's row with nested names joined by dots, as for a data frame.

    >>> flatten({"rmse": 1.0, "coverage": {"0.9": 0.8}})
    {'rmse': 1.0, 'coverage.0.9': 0.8}
    """
    flat: dict[str, Any] = {}
    for name, value in row.items():
        flat |= (
            flatten(value, f"{prefix}{name}.")
            if isinstance(value, dict)
            else {prefix + name: value}
        )
    return flat


def _columns(p: Prediction, y: np.ndarray, levels: list[float]) -> dict[str, Any]:
    """Per-entry scores and intervals, computed once for all rows of the table."""
    stds = p.outputs.std if isinstance(p.outputs, Normal) else None
    if p.pool.kind == "mixture":
        crps = crps_mixture(p.weights, p.members, stds, y)
        nll = None if stds is None else nll_mixture(p.weights, p.members, stds, y)
    else:  # as its intervals: the normal around the pooled answer
        crps = crps_normal(p.mean, p.std, y)
        nll = None if stds is None else nll_normal(p.mean, p.std, y)
    spread = p.calibrated or p.pool.kind != "sum"
    intervals = {f"{level:g}": p.interval(level) for level in levels} if spread else {}
    return {"crps": crps, "nll": nll, "intervals": intervals}


class _Table:
    """The scores of any part of the outputs."""

    def __init__(self, p: Prediction, y, mask, columns, baseline):
        self.p, self.y, self.columns, self.baseline = p, y, columns, baseline
        self.mask = np.ones(y.shape, bool) if mask is None else np.asarray(mask, bool)

    def row(self, part) -> dict[str, Any]:
        y, mask, mean = self.y[part], self.mask[part], self.p.mean[part]
        row: dict[str, Any] = {"count": int((mask & np.isfinite(y)).sum())}
        row |= {f.__name__: _number(f(mean, y, mask, None)) for f in (rmse, mae, bias)}
        row["crps"] = _number(masked_mean(self.columns["crps"][part], y, mask, None))
        if self.columns["nll"] is not None:
            row["nll"] = _number(masked_mean(self.columns["nll"][part], y, mask, None))
        row["std"] = _number(masked_mean(self.p.std[part], y, mask, None))
        bounds = {k: (a[part], b[part]) for k, (a, b) in self.columns["intervals"].items()}
        row["coverage"] = {k: _number(coverage(*ab, y, mask, None)) for k, ab in bounds.items()}
        row["width"] = {k: _number(width(*ab, y, mask, None)) for k, ab in bounds.items()}
        if self.baseline is not None:
            reference = rmse(np.asarray(self.baseline, float)[part], y, mask, None)
            row["baseline_rmse"] = _number(reference)
            row["skill"] = _number(skill(rmse(mean, y, mask, None), reference))
        return row


def _members(p: Prediction, y, mask) -> dict[str, list]:
    scores = {f.__name__: member_scores(f, p.members, y, mask) for f in (rmse, mae, bias)}
    if isinstance(p.outputs, Normal):
        pairs = list(zip(p.outputs.mean, p.outputs.std, strict=True))
        each = {"crps": [crps_normal(m, s, y) for m, s in pairs]}
        each["nll"] = [nll_normal(m, s, y) for m, s in pairs]
        for name, values in each.items():
            scores[name] = np.stack([masked_mean(v, y, mask, None) for v in values])
    return {name: [_number(v) for v in values] for name, values in scores.items()} | _weights(p)


def _weights(p: Prediction) -> dict[str, list]:
    """How much each member counts, on average over the rows."""
    weights = np.asarray(p.weights, float)
    return {"weight": weights.reshape(len(weights), -1).mean(axis=1).tolist()}


def _evaluate_classes(p: Prediction, y) -> dict[str, Any]:
    rules = (classes.accuracy, classes.log_loss, classes.brier, classes.ece)
    overall: dict[str, Any] = {f.__name__: _number(f(p.probabilities, y)) for f in rules}
    overall["count"] = len(p)
    overall["entropy"] = _number(p.total.mean())
    overall["mutual_information"] = _number(p.epistemic.mean())
    return {
        "rows": len(p),
        "task": "classification",
        "calibrated": p.calibrated,
        "overall": overall,
        "members": {f.__name__: [_number(f(m, y)) for m in p.members] for f in rules} | _weights(p),
        "diversity": diversity_summary(p, y),
        "calibration": calibration_summary(p, y, None, None),
        "reliability": classes.reliability_table(p.probabilities, y),
    }
