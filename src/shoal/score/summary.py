"""Diversity and honesty of a prediction, as the parts of the table that `evaluate` gives.

Plain dicts for JSON; what cannot be had (a single member, nothing observed) is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np

from shoal.equations.intervals import normal_cdf
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.pooling import shares_of
from shoal.equations.prediction import Prediction
from shoal.score import classes, diversity
from shoal.score.ambiguity import (
    Ambiguity,
    brier_ambiguity,
    cross_entropy_ambiguity,
    squared_parts,
)
from shoal.score.distribution import pit
from shoal.score.points import (
    coverage,
    interval_score,
    masked_mean,
    observed,
    sharpness,
    spread_skill,
    width,
)
from shoal.score.uniformity import pit_histogram, pit_uniformity


def diversity_summary(prediction: Prediction, y, mask=None) -> dict[str, Any] | None:
    """How unlike the members are, and what that buys; None of a single member.

    Args:
        prediction: of a collective.
        y: (rows, horizon, targets), (rows, targets), (rows,), or class labels (rows,).
        mask: True where the truth was observed.

    Returns:
        Of numbers `members`, `variance`, `ambiguity` (crowd = members − diversity, of the squared
        error), `error_correlation` (the mean over pairs, within targets), and `per_target` rows of
        the same. Of classes `members`, `variance` (of the probabilities), the means over pairs of
        `disagreement`, `q_statistic`, `correlation`, `double_fault` (of being right) and
        `vote_disagreement` (no truth needed), `kohavi_wolpert`, and `ambiguity` of `brier` and
        `cross_entropy`. An ambiguity is that of the weighted mean, and None where the crowd pools
        otherwise, but for `cross_entropy`, which belongs to the geometric mean in any case.
        Members that are parts of a sum do not disagree: None.

    >>> import numpy as np
    >>> p = Prediction(np.array([[[0.0], [2.0]], [[4.0], [2.0]]]), np.array([0.5, 0.5]))
    >>> diversity_summary(p, np.array([[1.0], [1.0]]))["ambiguity"]
    {'crowd': 1.0, 'members': 3.0, 'diversity': 2.0}
    """
    if len(prediction.members) < 2 or prediction.pool.kind == "sum":
        return None
    shares = shares_of(np, np.asarray(prediction.weights, float))
    if isinstance(prediction.outputs, Categorical):
        found = _of_classes(prediction, shares, y)
    else:
        found = _of_numbers(prediction, shares, np.asarray(y, float), mask)
    return {"members": len(prediction.members), **found}


def _of_numbers(p: Prediction, shares, y, mask) -> dict[str, Any]:
    parts, seen = squared_parts(shares, p.members, y), observed(y, mask)
    whole = _of_part(p, parts, y, seen, (...,))
    if y.ndim > 1:  # targets differ in their units: correlations are pooled, not errors
        rows = [_of_part(p, parts, y, seen, (..., d)) for d in range(y.shape[-1])]
        found = [row["error_correlation"] for row in rows if row["error_correlation"] is not None]
        whole["error_correlation"] = float(np.mean(found)) if found else None
        whole["per_target"] = rows
    return whole


def _of_part(p: Prediction, parts: Ambiguity, y, seen, part) -> dict[str, Any]:
    y, seen = y[part], seen[part]
    means = Ambiguity(*(masked_mean(a[part], y, seen, None) for a in parts))
    errors = diversity.error_correlation(p.members[(slice(None), *part)], y, seen)
    return {
        "variance": number(means.diversity),
        "ambiguity": _parts(means) if p.pool.kind == "mixture" else None,
        "error_correlation": number(diversity.pair_mean(errors)),
    }


def _of_classes(p: Prediction, shares, y) -> dict[str, Any]:
    votes = p.members.argmax(axis=-1)
    correct = diversity.right(votes, y)
    pairs = {
        "disagreement": diversity.disagreement(correct),
        "q_statistic": diversity.q_statistic(correct),
        "correlation": diversity.right_correlation(correct),
        "double_fault": diversity.double_fault(correct),
        "vote_disagreement": diversity.disagreement(votes),
    }
    try:
        pooled = _parts(cross_entropy_ambiguity(shares, p.members, y))
    except ValueError:  # members rule out every class of some row between them
        pooled = None
    mean = p.pool.kind == "mixture"
    return {
        "variance": number(diversity.variance(shares, p.members)),
        **{name: number(diversity.pair_mean(matrix)) for name, matrix in pairs.items()},
        "kohavi_wolpert": diversity.kohavi_wolpert(correct),
        "ambiguity": {
            "brier": _parts(brier_ambiguity(shares, p.members, y)) if mean else None,
            "cross_entropy": pooled,
        },
    }


def _parts(parts: Ambiguity) -> dict[str, float | None]:
    return {name: number(value) for name, value in parts._asdict().items()}


def reliability_summary(
    intervals: Mapping[float, tuple[np.ndarray, np.ndarray]], y, mask=None
) -> dict[str, list]:
    """Columns `level`, `coverage`, `width`, `interval_score`: what was promised, what was found.

    Args:
        intervals: level → (lower, upper), each of `y`'s shape.
        y: the truth. mask: True where it was observed.

    >>> import numpy as np
    >>> reliability_summary({0.5: (np.zeros(4), np.ones(4))}, np.array([0.5, 0.5, 2.0, 3.0]))
    {'level': [0.5], 'coverage': [0.5], 'width': [1.0], 'interval_score': [4.0]}
    """
    ends = [(level, *bounds) for level, bounds in intervals.items()]
    return {
        "level": [float(level) for level, _, _ in ends],
        "coverage": [number(coverage(low, high, y, mask, None)) for _, low, high in ends],
        "width": [number(width(low, high, y, mask, None)) for _, low, high in ends],
        "interval_score": [
            number(interval_score(low, high, at, y, mask, None)) for at, low, high in ends
        ],
    }


def calibration_summary(prediction: Prediction, y, mask, reliability) -> dict[str, Any]:
    """How honest the uncertainty is, in single numbers.

    Args:
        prediction: of a collective. y, mask: as of `diversity_summary`.
        reliability: of `reliability_summary`; of classes not needed.

    Returns:
        Of numbers `error` (mean |coverage − level| over the levels), `sharpness`, `spread_skill`,
        and `pit`: the distribution it is `of` (the members' "mixture"; of points, and of crowds
        that pool otherwise, the "normal" with mean and std), the `distance` from uniform, its
        `p_value` where rows stand alone (None for several outputs, which do not), the `count`, and
        the `density` in ten bins. Conformal intervals do not change the PIT. Of classes `ece`,
        `classwise_ece` (ten bins of equal width), `confidence` and the parts of the `brier` score.
    """
    if isinstance(prediction.outputs, Categorical):
        p = prediction.probabilities
        return {
            "ece": number(classes.ece(p, y)),
            "classwise_ece": number(classes.classwise_ece(p, y)),
            "confidence": number(p.max(axis=-1).mean()),
            "brier": {k: number(v) for k, v in classes.brier_parts(p, y)._asdict().items()},
        }
    pairs = zip(reliability["coverage"], reliability["level"], strict=True)
    gaps = [abs(found - level) for found, level in pairs if found is not None]
    return {
        "error": float(np.mean(gaps)) if gaps else None,
        "sharpness": number(sharpness(prediction.std, y, mask, None)),
        "spread_skill": number(spread_skill(prediction.mean, prediction.std, y, mask, None)),
        "pit": _pit(prediction, np.asarray(y, float), mask),
    }


def _pit(p: Prediction, y: np.ndarray, mask) -> dict[str, Any] | None:
    seen = observed(y, mask)
    truth = np.where(seen, y, p.mean)
    stds = p.outputs.std if isinstance(p.outputs, Normal) else np.zeros(1)
    if p.pool.kind == "mixture" and (stds > 0).all():
        kind, u = "mixture", pit(p.weights, p.members, stds, truth)
    elif (p.std > 0).all():
        kind, u = "normal", normal_cdf(np, (truth - p.mean) / p.std)
    else:
        return None
    if not seen.any():
        return None
    found = pit_uniformity(u, y, seen)
    alone = y[0].size == 1
    return {
        "of": kind,
        "distance": found.distance,
        "p_value": found.p_value if alone else None,
        "count": found.count,
        "density": pit_histogram(u, 10, y, seen)["density"],
    }


def number(value) -> float | None:
    """A finite float, or None.

    >>> number(np.float64(0.5)), number(float("inf"))
    (0.5, None)
    """
    value = float(value)
    return value if isfinite(value) else None
