"""Calendar features: where in the year, the week or the day an observation lies.

A cycle of length P gives sin(2πkt/P) and cos(2πkt/P) for k = 1 … harmonics, t in UTC since 1970.
They are columns of x like any other, and already of order one, so that they are not scaled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shoal.data.errors import DataError, nearest
from shoal.data.times import SECONDS

CYCLES = ("year", "week", "day")


def parse_calendar(
    calendar: Sequence[str] | Mapping[str, int], harmonics: int
) -> tuple[tuple[str, int], ...]:
    """(cycle, harmonics) pairs from ["year", "day"] or {"year": 3, "day": 1}.

    >>> parse_calendar(["year"], 2), parse_calendar({"day": 3}, 1)
    ((('year', 2),), (('day', 3),))

    Raises:
        DataError: an unknown cycle, one named twice, or harmonics that are no positive integer.
    """
    if isinstance(calendar, str):
        calendar = [calendar]
    if not isinstance(calendar, Mapping):
        _refuse_twice(calendar)
        calendar = dict.fromkeys(calendar, harmonics)
    for cycle, count in calendar.items():
        _check(cycle, count)
    return tuple(calendar.items())


def _refuse_twice(cycles: Sequence[str]) -> None:
    twice = [cycle for i, cycle in enumerate(cycles) if cycle in cycles[:i]]
    if twice:
        raise DataError(f"`calendar` names {twice[0]!r} twice", "name it once")


def _check(cycle: Any, count: Any) -> None:
    if cycle not in CYCLES:
        raise DataError(f"`calendar` names {cycle!r}", nearest(str(cycle), CYCLES))
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise DataError(f"`calendar` {cycle!r} has {count!r} harmonics", "use 1, 2, 3, ...")


def waves(times: np.ndarray, unit: str, calendar: Sequence[tuple[str, int]]) -> np.ndarray:
    """(n, columns) of the sines and cosines at times counted in `unit` since 1970.

    >>> waves(np.array([0.0, 6.0]), "hour", [("day", 1)]).round(3)
    array([[0., 1.], [1., 0.]])
    """
    columns = [np.empty((len(times), 0))]
    for cycle, harmonics in calendar:
        phase = 2 * np.pi * np.asarray(times) * (SECONDS[unit] / SECONDS[cycle])
        for k in range(1, harmonics + 1):
            columns.append(np.stack([np.sin(k * phase), np.cos(k * phase)], axis=1))
    return np.concatenate(columns, axis=1)
