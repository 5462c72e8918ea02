"""Errors of points and intervals, with a mask.

Every score averages over `axis` (rows by default, so that each horizon and target has its own
number; None for one number). What was not observed does not count; where nothing was, it is NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shoal.equations.intervals import check_level


def observed(y, mask=None) -> np.ndarray:
    """Where there is a truth: finite, and True in the mask."""
    y = np.asarray(y, float)
    return np.isfinite(y) if mask is None else np.asarray(mask, bool) & np.isfinite(y)


def masked_mean(values, y, mask=None, axis: int | None = 0) -> np.ndarray:
    """The mean of `values` where `y` was observed; NaN where it never was.

    >>> import numpy as np
    >>> masked_mean(np.array([1.0, 3.0, 5.0]), np.array([0.0, 0.0, np.nan]))
    np.float64(2.0)
    """
    seen = observed(y, mask)
    values = np.where(seen, values, 0.0)
    count = seen.sum(axis=axis)
    return np.where(count > 0, values.sum(axis=axis) / np.maximum(count, 1), np.nan)[()]


def _check(prediction, y) -> tuple[np.ndarray, np.ndarray]:
    prediction, y = np.asarray(prediction, float), np.asarray(y, float)
    if prediction.shape != y.shape:
        raise ValueError(
            f"`prediction` and `y` must have one shape, got {prediction.shape} and {y.shape}"
        )
    return prediction, y


def rmse(prediction, y, mask=None, axis: int | None = 0) -> np.ndarray:
    """√mean (prediction − y)².

    >>> import numpy as np
    >>> rmse(np.array([1.0, 2.0]), np.array([4.0, -2.0])).round(4)
    np.float64(3.5355)
    """
    prediction, y = _check(prediction, y)
    return np.sqrt(masked_mean((prediction - y) ** 2, y, mask, axis))


def mae(prediction, y, mask=None, axis: int | None = 0) -> np.ndarray:
    """Mean |prediction − y|."""
    prediction, y = _check(prediction, y)
    return masked_mean(np.abs(prediction - y), y, mask, axis)


def bias(prediction, y, mask=None, axis: int | None = 0) -> np.ndarray:
    """Mean prediction − y: above 0, the prediction is too high."""
    prediction, y = _check(prediction, y)
    return masked_mean(prediction - y, y, mask, axis)


def coverage(lower, upper, y, mask=None, axis: int | None = 0) -> np.ndarray:
    """The share of truths inside [lower, upper].

    >>> import numpy as np
    >>> coverage(np.zeros(4), np.ones(4), np.array([0.0, 0.5, 2.0, -1.0]))
    np.float64(0.5)
    """
    y = np.asarray(y, float)
    return masked_mean((lower <= y) & (y <= upper), y, mask, axis)


def width(lower, upper, y=None, mask=None, axis: int | None = 0) -> np.ndarray:
    """The mean width of the intervals; with `y`, of those whose truth was observed."""
    span = np.asarray(upper, float) - np.asarray(lower, float)
    return masked_mean(span, np.zeros_like(span) if y is None else y, mask, axis)


def interval_score(lower, upper, level: float, y, mask=None, axis: int | None = 0) -> np.ndarray:
    """Width plus 2/(1 − level) times how far the truth lies outside (Gneiting & Raftery 2007)."""
    y = np.asarray(y, float)
    outside = np.maximum(lower - y, 0) + np.maximum(y - upper, 0)
    return masked_mean(upper - lower + 2.0 / (1.0 - level) * outside, y, mask, axis)


def quantile_loss(quantile, p: float, y, mask=None, axis: int | None = 0) -> np.ndarray:
    """Pinball loss of a predicted p-quantile: mean p·(y − q) where y > q, (1 − p)·(q − y) below.

    Lowest for the true quantile (Koenker & Bassett 1978). The losses of an interval's ends add up
    to ½(1 − level) · `interval_score`.

    Args:
        quantile: the predictions, of `y`'s shape. p: between 0 and 1.

    >>> import numpy as np
    >>> quantile_loss(np.array([0.0, 0.0]), 0.9, np.array([1.0, -1.0]))
    np.float64(0.5)
    """
    quantile, y = _check(quantile, y)
    below = y - quantile
    return masked_mean(np.maximum(check_level(p) * below, (p - 1.0) * below), y, mask, axis)


def sharpness(std, y=None, mask=None, axis: int | None = 0) -> np.ndarray:
    """√mean σ²: how concentrated the predictions are, whatever the truth; smaller is sharper.

    To be minimised subject to calibration (Gneiting, Balabdaoui & Raftery 2007).

    Args:
        std: predicted standard deviations. y, mask: count only where the truth was observed.

    >>> import numpy as np
    >>> sharpness(np.array([3.0, 4.0])).round(4)
    np.float64(3.5355)
    """
    std = np.asarray(std, float)
    return np.sqrt(masked_mean(std**2, np.zeros_like(std) if y is None else y, mask, axis))


def spread_skill(mean, std, y, mask=None, axis: int | None = 0) -> np.ndarray:
    """√mean σ² / RMSE: 1 for an honest spread, below 1 if it is too small.

    >>> import numpy as np
    >>> spread_skill(np.zeros(2), np.ones(2), np.array([2.0, -2.0]))
    np.float64(0.5)
    """
    error = rmse(mean, y, mask, axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sharpness(std, y, mask, axis) / error)[()]


def skill(score, reference) -> np.ndarray:
    """1 − score/reference: 0 is no better than the reference, 1 is perfect.

    >>> float(skill(0.5, 2.0))
    0.75
    """
    return 1.0 - np.asarray(score, float) / np.asarray(reference, float)


def member_scores(score: Callable, members, y, mask=None, axis: int | None = None) -> np.ndarray:
    """`score(member, y, mask, axis)` of every member on the first axis.

    >>> import numpy as np
    >>> member_scores(mae, np.array([[1.0, 1.0], [2.0, 3.0]]), np.zeros(2))
    array([1. , 2.5])
    """
    return np.stack([score(member, y, mask, axis) for member in members])
