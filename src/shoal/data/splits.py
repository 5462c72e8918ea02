"""Splits: which sequences train, stop, calibrate and test.

Forecasts are split in time: the blocks train, valid, calibration and test follow one another, and
a window belongs to a block only if the whole period that it forecasts lies inside. Its history may
reach back. Windows that straddle a boundary are used by none. Two ways to say where blocks begin:

    split: {valid: 0.15, calibration: 0.1, test: 0.15}                 # shares of the observations
    split: {valid_from: 1985-01-01, calibration_from: 1988-01-01, test_from: 1991-01-01}

The test block may be thinned to origins fixed beforehand: `test_every: 26` takes one each 26 steps,
`test_origins: 8` eight that are evenly spread (with `test_every`, the first eight),
`test_origins: [1991-01-05, 1993-01-02]` those dates.

Whole series are split by series: `{valid: 0.15, test: 0.15, by: "series", seed: 0}` at random, or
`by: "time"` in the order of their last observations.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from shoal.data.errors import DataError, nearest
from shoal.data.origins import fixed_origins, listed_origins, show
from shoal.data.schema import Schema
from shoal.data.series import Series
from shoal.data.times import moment
from shoal.data.windows import Windows, fewest, step_of

BLOCKS = ("train", "valid", "calibration", "test")
SHARES = {"valid": 0.15, "calibration": 0.1, "test": 0.15}
STARTS = tuple(f"{name}_from" for name in BLOCKS[1:])
_FORECAST_KEYS = (*BLOCKS[1:], *STARTS, "test_every", "test_origins")
_SERIES_KEYS = (*BLOCKS[1:], "by", "seed")

Rows = dict[str, np.ndarray]


def split_windows(
    windows: Windows, series: list[Series], schema: Schema, split: Mapping[str, Any] | None
) -> Rows:
    """The rows of each block that was asked for.

    Raises:
        DataError: an unknown key, shares or dates out of order, a block without windows.
    """
    split = dict(SHARES if split is None else split)
    _check_keys(split, _FORECAST_KEYS)
    times = np.sort(np.concatenate([s.times for s in series]))
    edges = _edges(split, times, schema)
    rows = {name: _inside(windows, *edge, step_of(schema)) for name, edge in edges.items()}
    for name, found in rows.items():
        if not len(found):
            raise _empty(name, *edges[name], schema)
    if "test" in rows and ("test_every" in split or "test_origins" in split):
        rows["test"] = rows["test"][fixed_origins(windows[rows["test"]], schema, split)]
    return rows


def _inside(windows: Windows, begin: float, end: float, step: float) -> np.ndarray:
    tiny = 1e-6 * step  # dates in weeks are not exact
    return np.flatnonzero((windows.begin >= begin - tiny) & (windows.end < end - tiny))


def _edges(
    split: Mapping[str, Any], times: np.ndarray, schema: Schema
) -> dict[str, tuple[float, float]]:
    """(begin, end) of each block that was asked for; the end is outside of it."""
    shares, starts = _shares(split), _starts(split, schema)
    if starts and shares:
        found = f"`split` has shares ({next(iter(shares))}) and dates ({next(iter(starts))}_from)"
        raise DataError(found, "use one or the other")
    if shares:
        cumulative = len(times) * (1 - np.cumsum(list(shares.values())[::-1])[::-1])
        at = np.minimum(np.rint(cumulative).astype(int), len(times) - 1)
        starts = dict(zip(shares, times[at].tolist(), strict=True))
    _check_starts(starts, times, schema)
    names, begins = ["train", *starts], [-np.inf, *starts.values()]
    return dict(zip(names, zip(begins, [*begins[1:], np.inf], strict=True), strict=True))


def _shares(split: Mapping[str, Any]) -> dict[str, float]:
    """The shares that are not 0."""
    shares = {name: split[name] for name in BLOCKS[1:] if split.get(name) is not None}
    for name, share in shares.items():
        is_number = isinstance(share, int | float) and not isinstance(share, bool)
        if not is_number or not 0 <= share < 1:
            raise DataError(f"`split.{name}` is {share!r}", "use a share from 0 to below 1")
    if sum(shares.values()) >= 1:
        found = f"the shares of `split` add up to {sum(shares.values()):.4g}"
        raise DataError(found, "leave something to train on: keep the sum below 1")
    return {name: float(share) for name, share in shares.items() if share > 0}


def _starts(split: Mapping[str, Any], schema: Schema) -> dict[str, float]:
    """Where each block begins, as numbers; the earliest listed origin begins the test."""
    starts = {}
    for name in BLOCKS[1:]:
        if split.get(f"{name}_from") is not None:
            value = split[f"{name}_from"]
            starts[name] = moment(value, f"split.{name}_from", schema.is_date, schema.time_unit)
    origins = listed_origins(split, schema)
    if origins and "test" not in starts and not _shares(split):
        starts["test"] = min(origins)
    return starts


def _check_starts(starts: Mapping[str, float], times: np.ndarray, schema: Schema) -> None:
    for (a, begin), (b, end) in pairwise(starts.items()):
        if begin >= end:
            found = f"`split`: {b} begins at {show(end, schema)}, {a} at {show(begin, schema)}"
            raise DataError(found, "blocks follow one another: valid, calibration, test")
    for name, begin in starts.items():
        if not times[0] < begin <= times[-1]:
            found = (
                f"`split`: {name} begins at {show(begin, schema)}, outside the data, which reach "
            )
            found += f"from {show(times[0], schema)} to {show(times[-1], schema)}"
            raise DataError(found, "choose a date inside")


def _empty(name: str, begin: float, end: float, schema: Schema) -> DataError:
    ahead = f"{schema.horizons[-1]} steps of {step_of(schema):.6g} {schema.time_unit or 'units'}"
    if name == "train":
        found = f"`split` leaves no window to train on before {show(end, schema)}"
        need = f"{fewest(schema)} observations and {ahead} must fit before it"
    else:
        until = "the end" if np.isinf(end) else show(end, schema)
        found = f"`split` leaves no window for {name}, from {show(begin, schema)} to {until}"
        need = f"the whole forecast, {ahead}, must fit inside"
    return DataError(found, f"{need}: enlarge the block, or shorten window or horizon")


def split_whole(origin: np.ndarray, split: Mapping[str, Any] | None, *, by: str) -> Rows:
    """The rows of each block, for sequences with the last times `origin`.

    Args:
        by: what `split.by` is where it is not given.

    >>> split_whole(np.arange(10.0), {"valid": 0.2, "by": "time"}, by="series")["valid"]
    array([8, 9])

    Raises:
        DataError: an unknown key, shares that leave nothing to train on, a block left empty.
    """
    split = dict(SHARES if split is None else split)
    _check_keys(split, _SERIES_KEYS)
    by, seed = split.get("by", by), split.get("seed", 0)
    if by not in ("series", "time"):
        raise DataError(f"`split.by` is {by!r}", nearest(str(by), ("series", "time")))
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise DataError(f"`split.seed` is {seed!r}", "use a whole number from 0")
    n, shares = len(origin), _shares(split)
    random = np.random.default_rng(seed).permutation(n)
    order = np.argsort(origin, kind="stable") if by == "time" else random
    counts = {name: round(n * share) for name, share in shares.items()}
    counts = {"train": n - sum(counts.values()), **counts}
    for name, count in counts.items():
        if count < 1:
            found = f"`split` leaves {name} without any of the {n} sequences"
            raise DataError(found, "give more series, or change the shares")
    ends = np.cumsum(list(counts.values()))
    parts = np.split(order, ends[:-1])
    return {name: np.sort(part) for name, part in zip(counts, parts, strict=True)}


def _check_keys(split: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in split:
        if key not in known:
            raise DataError(f"`split` has no {key!r} here", nearest(str(key), known))
