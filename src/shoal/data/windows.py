"""Windows for forecasting: the last observations up to an origin, and the values h steps after it.

The target at horizon h is the observation nearest to origin + h·step, if one lies within half a
step of it; otherwise it is masked. Nothing is interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from shoal.data.errors import DataError
from shoal.data.schema import Schema
from shoal.data.sequences import Sequences, concatenate
from shoal.data.series import Series
from shoal.equations.scalers import last_observed


@dataclass(frozen=True)
class Windows:
    """Windows and the time that each one's answers span.

    Args:
        sequences: the windows.
        begin: (n,) the first moment that is forecast: one step after the origin, or the earliest
            observation taken as an answer.
        end: (n,) the last moment that is forecast, likewise.
    """

    sequences: Sequences
    begin: np.ndarray
    end: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Windows:
        return Windows(self.sequences[rows], self.begin[rows], self.end[rows])


def make_windows(series: list[Series], schema: Schema, *, stride: int = 1) -> Windows:
    """Every window of every series, at every `stride`-th origin.

    A series with fewer observations than a window needs gives none, and no forecast reaches
    beyond the end of its series.
    """
    made = [_windows(one, schema, stride) for one in series]
    return Windows(
        concatenate([part.sequences for part in made]),
        np.concatenate([part.begin for part in made]),
        np.concatenate([part.end for part in made]),
    )


def last_windows(series: list[Series], schema: Schema, path: str) -> Sequences:
    """The last window of each series, without answers.

    Raises:
        DataError: a series with fewer observations than a window needs.
    """
    needed = fewest(schema)
    for one in series:
        if one.observed.sum() < needed:
            found = f"{one.title} has {one.observed.sum()} observations, a window needs {needed}"
            raise DataError(found, "give more rows", path=path)
    return concatenate(
        [_history(one, schema, np.array([one.observed.sum() - 1])) for one in series]
    )


def with_base(windows: Windows, columns: tuple[int, ...] | None) -> Windows:
    """The windows that hold a value of each of these features, from which a change is counted."""
    if columns is None or not len(windows.sequences):
        return windows
    last = last_observed(np, windows.sequences.x, windows.sequences.mask, columns)
    return windows[np.flatnonzero(~np.isnan(last).any(-1))]


def fewest(schema: Schema) -> int:
    """The observations that a series needs for one window."""
    return (_least(schema) - 1) * schema.window_every + 1


def _least(schema: Schema) -> int:
    """The observations that a window holds at least."""
    assert schema.window is not None
    return schema.min_window or schema.window


def step_of(schema: Schema) -> float:
    assert schema.step is not None
    return schema.step


def _windows(series: Series, schema: Schema, stride: int) -> Windows:
    ends = np.arange(fewest(schema) - 1, series.observed.sum())[::stride]
    history = _history(series, schema, ends)
    origin, nominal = history.origin, history.target_times
    assert origin is not None
    assert nominal is not None
    if series.y is None:
        return Windows(history, origin, origin)
    columns = [_nearest(series, d, nominal, schema) for d in range(series.y.shape[1])]
    y, when = (np.stack(part, axis=-1) for part in zip(*columns, strict=True))
    known = ~np.isnan(y)
    step = step_of(schema)
    begin = np.minimum(origin + step, np.where(known, when, np.inf).min((1, 2)))
    end = np.maximum(nominal[:, -1], np.where(known, when, -np.inf).max((1, 2)))
    answered = Windows(replace(history, y=y, y_mask=known), begin, end)
    within = nominal[:, -1] <= series.times[-1] + 0.5 * step * (1 + 1e-9)
    return answered[np.flatnonzero(known.any((1, 2)) & within)]


def _history(series: Series, schema: Schema, ends: np.ndarray) -> Sequences:
    """The windows that end at the observations `ends`, without answers."""
    length, every = schema.window or 1, schema.window_every
    ahead = step_of(schema) * np.asarray(schema.horizons, np.float64)
    times, x = series.times[series.observed], series.x[series.observed]
    starts = ends - every * np.minimum(length - 1, ends // every)
    index = starts[:, None] + every * np.arange(length)
    mask = index <= ends[:, None]
    index = np.minimum(index, max(len(times) - 1, 0))
    return Sequences(
        x=np.where(mask[..., None], x[index], np.nan),
        timespans=np.where(mask, times[index] - times[np.maximum(index - every, 0)], 0.0),
        mask=None if _least(schema) == length else mask,
        series=np.full(len(ends), series.name, object),
        origin=times[ends],
        target_times=times[ends][:, None] + ahead,
    )


def _nearest(
    series: Series, target: int, nominal: np.ndarray, schema: Schema
) -> tuple[np.ndarray, np.ndarray]:
    """(n, horizon) the value observed nearest to each nominal time, NaN if none; and its time."""
    assert series.y is not None
    known = ~np.isnan(series.y[:, target])
    times, values = series.times[known], series.y[known, target]
    if not len(times):
        return np.full(nominal.shape, np.nan), nominal
    after = np.clip(np.searchsorted(times, nominal), 0, len(times) - 1)
    before = np.maximum(after - 1, 0)
    earlier = np.abs(nominal - times[before]) <= np.abs(times[after] - nominal)
    chosen = np.where(earlier, before, after)
    near = np.abs(times[chosen] - nominal) <= 0.5 * step_of(schema) * (1 + 1e-9)
    return np.where(near, values[chosen], np.nan), times[chosen]
