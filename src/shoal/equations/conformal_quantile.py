"""Conformalised quantiles (CQR): intervals that are moved until they would have held.

Where members give distributions, the crowd's own interval [l, u] of a level is narrow where it is
sure and lopsided where the mixture is. Of n calibration rows

    s_j = max(l_j − y_j, y_j − u_j)          how far outside; below 0, how far inside

and the interval is [l − q, u + q], with q the ⌈(n+1)·level⌉-th smallest score, infinite if that
exceeds n: the same amount at both ends, and possibly negative. Where l − q passes u + q (very wide
intervals, moved far in) both are their middle. Source: Romano, Patterson & Candès 2019.

What is promised, and that it is not for series, is in `conformal.py`. Unlike the scores there,
these belong to the level whose quantiles were taken: a crowd has one calibration for each level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shoal.equations.conformal import conformal_quantile
from shoal.equations.intervals import check_level


@dataclass(frozen=True)
class QuantileCalibration:
    """The sorted scores of every output, for intervals of one level.

    Attributes:
        scores: (rows, *outputs), ascending; outputs with fewer rows end in +inf.
        counts: (*outputs), how many scores each output has.
        level: of the intervals whose scores these are.
    """

    scores: np.ndarray
    counts: np.ndarray
    level: float

    @property
    def shift(self) -> np.ndarray:
        """q of every output, (*outputs), infinite where there are too few rows."""
        return conformal_quantile(self.scores, self.counts, self.level)

    def interval(self, lower, upper) -> tuple[np.ndarray, np.ndarray]:
        """The crowd's own bounds (batch, *outputs), moved."""
        lower, upper = np.asarray(lower, float) - self.shift, np.asarray(upper, float) + self.shift
        crossed = lower > upper
        with np.errstate(invalid="ignore"):  # −inf and +inf never cross
            middle = 0.5 * (lower + upper)
        return np.where(crossed, middle, lower), np.where(crossed, middle, upper)


def fit_quantile_calibration(lower, upper, y, level: float, y_mask=None) -> QuantileCalibration:
    """The calibration of intervals (rows, *outputs) of one level against the truth.

    Args:
        lower, upper: the crowd's own bounds, as of `Prediction.interval(level)` without a
            calibration. The rows must be used for nothing else.
        y: the truth; entries that are NaN or masked do not count.
        level: the coverage wanted.
        y_mask: True where the truth was observed.

    Raises:
        ValueError: shapes differ, a bound is NaN, or a lower bound lies above its upper one.

    >>> import numpy as np
    >>> y = np.arange(1.0, 10.0)[:, None]
    >>> fitted = fit_quantile_calibration(np.zeros((9, 1)), np.full((9, 1), 5.0), y, 0.9)
    >>> fitted.shift, fitted.interval(np.array([[0.0]]), np.array([[5.0]]))
    (array([4.]), (array([[-4.]]), array([[9.]])))
    """
    lower, upper, y = (np.asarray(a, float) for a in (lower, upper, y))
    if not lower.shape == upper.shape == y.shape:
        raise ValueError(
            f"`lower`, `upper` and `y` must have one shape, got {lower.shape}, {upper.shape} "
            f"and {y.shape}"
        )
    if not (lower <= upper).all():
        raise ValueError("`lower` must be at most `upper` everywhere, and neither of them NaN")
    seen = np.isfinite(y) if y_mask is None else np.asarray(y_mask, bool) & np.isfinite(y)
    y = np.where(seen, y, 0.0)
    scores = np.where(seen, np.maximum(lower - y, y - upper), np.inf)
    return QuantileCalibration(np.sort(scores, axis=0), seen.sum(axis=0), check_level(level))


@dataclass(frozen=True)
class QuantileCalibrations:
    """The calibrations of a crowd, one for each of some levels.

    Attributes:
        parts: in the order of their levels.
    """

    parts: tuple[QuantileCalibration, ...]
    method: ClassVar[str] = "cqr"

    @property
    def levels(self) -> tuple[float, ...]:
        return tuple(part.level for part in self.parts)

    @property
    def counts(self) -> np.ndarray:
        """(*outputs), how many scores each output has."""
        return self.parts[0].counts

    def part(self, level: float) -> QuantileCalibration:
        """The calibration of a level.

        Raises:
            ValueError: none was fitted for it.
        """
        for part in self.parts:
            if abs(part.level - check_level(level)) < 1e-9:
                return part
        known = ", ".join(f"{each:g}" for each in self.levels)
        raise ValueError(
            f"conformalised quantiles were fitted for the levels {known}, got {level!r}; take one "
            "of them, or calibrate again with `levels=`"
        )

    def quantile(self, level: float) -> np.ndarray:
        """q of every output, (*outputs), infinite where there are too few rows."""
        return self.part(level).shift

    def bounds(self, level: float, prediction: Any) -> tuple[np.ndarray, np.ndarray]:
        """(lower, upper) of a `Prediction`: its own bounds, moved."""
        return self.part(level).interval(*prediction.own_interval(level))


def fit_quantile_calibrations(
    prediction: Any, y, levels: Sequence[float], y_mask=None
) -> QuantileCalibrations:
    """The calibrations of a `Prediction`'s own intervals, one for each level.

    >>> from shoal.equations.prediction import Prediction
    >>> p = Prediction(np.zeros((2, 9, 1)) + [[[-1.0]], [[1.0]]], np.full(2, 0.5))
    >>> fitted = fit_quantile_calibrations(p, np.arange(9.0)[:, None], [0.8, 0.9])
    >>> fitted.levels, fitted.quantile(0.9).round(2)
    ((0.8, 0.9), array([6.36]))
    """
    wanted = sorted({float(level) for level in levels})
    bounds = [(level, prediction.own_interval(level)) for level in wanted]
    parts = [fit_quantile_calibration(a, b, y, level, y_mask) for level, (a, b) in bounds]
    if not parts:
        raise ValueError("`levels` must name at least one level, got none")
    return QuantileCalibrations(tuple(parts))
