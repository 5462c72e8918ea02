"""Forecasts that need no model, to be beaten: the last value, and the last season with drift.

    persistence     ŷ(t) = y(o)
    seasonal naive  ŷ(t) = y(t − kS) + k·(y(o) − y(o − S)),   k = ⌈(t − o)/S⌉ seasons back

with o the origin and S the season. Series may be irregular: a value between two observations is
interpolated, and nothing after the origin is looked at.
"""

from __future__ import annotations

import numpy as np


def persistence(times, values, origins, target_times) -> np.ndarray:
    """The last value observed at or before each origin, for all its target times.

    Args:
        times: (n,), ascending. values: (n,), NaN where unobserved. origins: (rows,).
        target_times: (rows, horizon).

    Returns:
        (rows, horizon).

    >>> import numpy as np
    >>> persistence(np.arange(4), np.array([1.0, 2, np.nan, 9]), np.array([2]), np.array([[3, 4]]))
    array([[2., 2.]])
    """
    times, values = _observations(times, values)
    last = np.searchsorted(times, np.asarray(origins, float), side="right") - 1
    forecast = np.where(last >= 0, values[np.maximum(last, 0)], np.nan)
    return np.broadcast_to(forecast[:, None], np.shape(target_times)).copy()


def seasonal_naive(times, values, origins, target_times, season: float, *, drift: bool = True):
    """The value one season before (or as many as lie before the origin), plus the drift since.

    Args:
        times: (n,), ascending, in any unit. values: (n,), NaN where unobserved.
        origins: (rows,). target_times: (rows, horizon), after the origins.
        season: the length of a season, in the unit of `times`.
        drift: add the change over the last season for every season gone back.

    Returns:
        (rows, horizon); NaN where the series does not reach back far enough.

    >>> import numpy as np
    >>> t = np.arange(8.0)
    >>> y = np.array([0.0, 5, 0, 5, 0, 5, 0, 5]) + t
    >>> seasonal_naive(t, y, np.array([5.0]), np.array([[6.0, 7.0, 8.0]]), season=2.0)
    array([[ 6., 12.,  8.]])
    """
    times, values = _observations(times, values)
    origins, targets = np.asarray(origins, float), np.asarray(target_times, float)
    back = np.ceil(np.round((targets - origins[:, None]) / season, 9))
    forecast = np.full(targets.shape, np.nan)
    for row, origin in enumerate(origins):
        n = np.searchsorted(times, origin, side="right")
        if n:
            past = (times[:n], values[:n])
            forecast[row] = _at(targets[row] - back[row] * season, *past)
            if drift:
                grown = _at(origin, *past) - _at(origin - season, *past)
                forecast[row] += back[row] * grown
    return forecast


def _observations(times, values) -> tuple[np.ndarray, np.ndarray]:
    times, values = np.asarray(times, float), np.asarray(values, float)
    if times.shape != values.shape or times.ndim != 1:
        raise ValueError(
            f"`times` and `values` must be (n,) and alike, got {times.shape} and {values.shape}"
        )
    if np.any(np.diff(times) < 0):
        raise ValueError("`times` must ascend; sort the series first")
    seen = np.isfinite(values)
    return times[seen], values[seen]


def _at(when, times: np.ndarray, values: np.ndarray):
    return np.interp(when, times, values, left=np.nan)
