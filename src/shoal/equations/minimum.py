"""The lowest point of a smooth function of one number, without derivatives.

A grid over the interval finds the valley, so that a second, shallower one does no harm; Brent's
method then goes to its bottom: a parabola through the three best points where it can be trusted,
else a golden section. Source: Brent 1973, "Algorithms for Minimization without Derivatives", ch. 5.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_GOLDEN = 0.3819660112501051  # (3 − √5)/2


def minimise(
    function: Callable[[float], float],
    low: float,
    high: float,
    *,
    grid: int = 13,
    tolerance: float = 1e-8,
    steps: int = 100,
) -> float:
    """Where `function` is lowest between `low` and `high`; an end, if it falls all the way there.

    Args:
        function: of one float; finite at least somewhere on the grid.
        low, high: the interval.
        grid: how many points look for the valley first, the ends among them.
        tolerance: how near the place is wanted, in the unit of the argument.
        steps: the most steps of Brent's method.

    Raises:
        ValueError: the interval is empty, or the function is nowhere finite.

    >>> round(minimise(lambda x: (x - 1.5) ** 4 - x, 0.0, 5.0), 6)
    2.129961
    """
    if not low < high:
        raise ValueError(f"`low` must lie below `high`, got {low!r} and {high!r}")
    places = np.linspace(low, high, max(grid, 3))
    values = np.array([function(float(x)) for x in places])
    if not np.isfinite(values).any():
        raise ValueError(f"the function is finite nowhere between {low!r} and {high!r}")
    best = int(np.nanargmin(values))
    left, right = places[max(best - 1, 0)], places[min(best + 1, len(places) - 1)]
    found = _brent(function, float(left), float(right), tolerance, steps)
    ends = [float(low), found, float(high)]
    return ends[int(np.nanargmin([values[0], function(found), values[-1]]))]


def _brent(function, low: float, high: float, tolerance: float, steps: int) -> float:
    x = second = third = low + _GOLDEN * (high - low)
    at_x = at_second = at_third = function(x)
    step = before = 0.0
    for _ in range(steps):
        middle, small = 0.5 * (low + high), 0.5 * tolerance
        if abs(x - middle) <= 2 * small - 0.5 * (high - low):
            break
        leap = _parabola(x, second, third, at_x, at_second, at_third)
        trusted = abs(leap) < 0.5 * abs(before)
        if trusted and low + 2 * small < x + leap < high - 2 * small:
            before, step = step, leap
        else:
            before = (high if x < middle else low) - x
            step = _GOLDEN * before
        u = x + (step if abs(step) >= small else np.copysign(small, step))
        at_u = function(u)
        if at_u <= at_x:
            low, high = (x, high) if u >= x else (low, x)
            third, second, x = second, x, u
            at_third, at_second, at_x = at_second, at_x, at_u
            continue
        low, high = (u, high) if u < x else (low, u)
        if at_u <= at_second or second == x:
            third, second, at_third, at_second = second, u, at_second, at_u
        elif at_u <= at_third or third in (x, second):
            third, at_third = u, at_u
    return x


def _parabola(x, second, third, at_x, at_second, at_third) -> float:
    """From x to the vertex of the parabola through three points; infinite if they are in line."""
    r = (x - second) * (at_x - at_third)
    q = (x - third) * (at_x - at_second)
    below = 2.0 * (q - r)
    if below == 0 or not np.isfinite(below):
        return float("inf")
    return -((x - third) * q - (x - second) * r) / below
