"""Fixed rolling origins: the few windows of the test block that were chosen beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shoal.data.errors import DataError
from shoal.data.schema import Schema
from shoal.data.series import plain
from shoal.data.times import moment
from shoal.data.windows import Windows, step_of


def listed_origins(split: Mapping[str, Any], schema: Schema) -> list[float]:
    """The moments of `split.test_origins` where it is a list."""
    origins = split.get("test_origins")
    if not isinstance(origins, list | tuple):
        return []
    args = (schema.is_date, schema.time_unit)
    return [moment(o, f"split.test_origins[{i}]", *args) for i, o in enumerate(origins)]


def fixed_origins(windows: Windows, schema: Schema, split: Mapping[str, Any]) -> np.ndarray:
    """The rows of the windows at the origins that `split` asks for.

    Raises:
        DataError: an origin without a window, or more origins than fit.
    """
    listed = listed_origins(split, schema)
    if listed:
        return _at(windows, listed, schema, must_exist=True)
    origin, step = windows.sequences.origin, step_of(schema)
    assert origin is not None
    every, count = _positive(split, "test_every"), _positive(split, "test_origins")
    first, last = origin.min(), origin.max()
    if every is None:
        return _at(windows, np.linspace(first, last, count or 1).tolist(), schema)
    wanted = np.arange(first, last + 0.5 * step, every * step)
    if count is not None and count > len(wanted):
        found = f"`split.test_origins` is {count}, but the test block holds {len(wanted)}"
        raise DataError(found, "begin the test earlier, or lower test_origins or test_every")
    return _at(windows, wanted[:count].tolist(), schema)


def show(time: float, schema: Schema) -> str:
    """A time as people write it: a date where the table has dates."""
    return plain(schema.dates(np.array([time]))[0])


def _at(
    windows: Windows, wanted: list[float], schema: Schema, must_exist: bool = False
) -> np.ndarray:
    """Each series' last window at or before each wanted origin, less than one step before it."""
    origin, names, step = windows.sequences.origin, windows.sequences.series, step_of(schema)
    assert origin is not None
    assert names is not None
    chosen = []
    for time in wanted:
        near = np.flatnonzero((origin <= time + 1e-6 * step) & (origin > time - step))
        if not len(near) and must_exist:
            remedy = "the last observation before an origin must lie within a step of it, "
            remedy += "and its whole forecast inside the test block"
            raise DataError(f"`split.test_origins`: no window at {show(time, schema)}", remedy)
        chosen += [near[names[near] == name][-1] for name in sorted(set(names[near]))]
    return np.unique(np.array(chosen, int))


def _positive(split: Mapping[str, Any], name: str) -> int | None:
    value = split.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise DataError(f"`split.{name}` is {value!r}", "use a whole number from 1")
    return value
