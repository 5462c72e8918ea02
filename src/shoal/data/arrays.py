"""Arrays x, y, timespans, mask that are sequences already: from NPZ, or from memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from shoal.data.errors import DataError, nearest
from shoal.data.schema import Schema
from shoal.data.sequences import Sequences

KEYS = ("x", "y", "timespans", "mask", "y_mask")


def sequences_from_arrays(
    arrays: Mapping[str, np.ndarray], task: str, name: str = "arrays", *, need_y: bool = True
) -> tuple[Sequences, np.ndarray | None]:
    """The sequences, still without answers to classify, and those labels.

    Args:
        arrays: x (n, time, features); y (n, horizon, targets) or (n, horizon) to forecast,
            (n, targets) or (n,) to regress, (n,) labels to classify; and, if wanted, timespans
            (n, time), 1 by default, mask (n, time), y_mask like y.
        need_y: whether `y` may be absent.

    Raises:
        DataError: an array that is missing, unknown, misshapen, not numeric or infinite.
    """
    arrays = {key: np.asarray(value) for key, value in arrays.items()}
    _check_keys(arrays, name, need_y)
    x = _numeric(arrays["x"], "x", name)
    if x.ndim != 3 or 0 in x.shape:
        found = f"`x` must be (n, time, features), none of them 0, got {x.shape}"
        raise DataError(found, "add the axis that is missing", path=name)
    n, time, _ = x.shape
    mask = _mask(arrays.get("mask"), (n, time), "mask", name)
    timespans = _timespans(arrays.get("timespans"), (n, time), mask, name)
    x, timespans, mask = _without_empty_steps(x, timespans, mask)
    sequences = Sequences(x, timespans, mask, series=np.arange(n).astype(object))
    if arrays.get("y") is None:
        return sequences, None
    if task == "classification":
        return sequences, _labels(arrays["y"], n, name)
    y = _answers(arrays["y"], n, task, name)
    known = arrays.get("y_mask")
    if known is not None and known.size == y.size:
        known = known.reshape(y.shape)
    known = _mask(known, y.shape, "y_mask", name)
    known = ~np.isnan(y) if known is None else known & ~np.isnan(y)
    y = np.where(known, y, np.nan)
    return replace(sequences, y=y, y_mask=known), None


def array_names(given: Sequence[str] | str | None, count: int, letter: str) -> tuple[str, ...]:
    """The names given for the last axis, or x0, x1, ...

    >>> array_names(None, 2, "x")
    ('x0', 'x1')
    """
    if not given:
        return tuple(f"{letter}{i}" for i in range(count))
    listed = (given,) if isinstance(given, str) else tuple(given)
    if len(listed) != count:
        what = {"x": "features", "y": "targets"}[letter]
        found = f"`{what}` names {len(listed)} columns, `{letter}` has {count}"
        raise DataError(found, f"name all {count}, or none")
    return listed


def new_arrays(arrays: Mapping[str, np.ndarray], schema: Schema, name: str) -> Sequences:
    """Sequences to predict for, of the features that the schema knows."""
    asked = {key: array for key, array in arrays.items() if key not in ("y", "y_mask")}
    sequences, _ = sequences_from_arrays(asked, schema.task, name, need_y=False)
    found, known = sequences.x.shape[-1], len(schema.features)
    if found != known:
        raise DataError(f"`x` has {found} features, training had {known}", path=name)
    return sequences


def _check_keys(arrays: Mapping[str, np.ndarray], name: str, need_y: bool) -> None:
    for key in ("x", "y") if need_y else ("x",):
        if key not in arrays:
            found = f"there is no array {key!r}; found {', '.join(map(repr, arrays)) or 'none'}"
            raise DataError(found, f"save it as {key!r}", path=name)
    for key in arrays:
        if key not in KEYS:
            raise DataError(f"the array {key!r} is not known", nearest(key, KEYS), path=name)


def _numeric(array: np.ndarray, key: str, name: str) -> np.ndarray:
    if array.dtype.kind not in "iufb":
        found = f"`{key}` must be numbers, got {array.dtype}"
        raise DataError(found, "save it as floats", path=name)
    array = array.astype(np.float64)
    bad = np.argwhere(np.isinf(array))
    if len(bad):
        place = ", ".join(map(str, bad[0]))
        found = f"`{key}[{place}]` is infinite"
        raise DataError(found, "correct it, or write NaN where it is missing", path=name)
    return array


def _mask(
    mask: np.ndarray | None, shape: tuple[int, ...], key: str, name: str
) -> np.ndarray | None:
    if mask is None:
        return None
    if mask.shape != shape:
        found = f"`{key}` must be {shape}, got {mask.shape}"
        raise DataError(found, "give it that shape", path=name)
    if mask.dtype.kind not in "biuf" or not np.isin(mask, (0, 1)).all():
        found = f"`{key}` must be booleans, got {mask.dtype}"
        raise DataError(found, "use True for what exists", path=name)
    mask = mask.astype(bool)
    empty = np.flatnonzero(~mask.any(axis=-1)) if key == "mask" else []
    if len(empty):
        found = f"`mask[{empty[0]}]` leaves no observation"
        raise DataError(found, "remove that sequence", path=name)
    return mask


def _timespans(
    timespans: np.ndarray | None, shape: tuple[int, int], mask: np.ndarray | None, name: str
) -> np.ndarray:
    if timespans is None:
        return np.ones(shape)
    timespans = _numeric(timespans, "timespans", name)
    if timespans.shape == (*shape, 1):
        timespans = timespans[..., 0]
    if timespans.shape != shape:
        hint = "transpose it" if timespans.shape == shape[::-1] else "give it that shape"
        found = f"`timespans` must be (n, time) = {shape}, got {timespans.shape}"
        raise DataError(found, hint, path=name)
    if mask is not None:
        timespans = np.where(mask, timespans, 0.0)
    bad = np.argwhere(~(timespans >= 0))
    if len(bad):
        i, j = bad[0]
        found = f"`timespans[{i}, {j}]` is {timespans[i, j]:g}"
        raise DataError(found, "time elapsed before an observation is 0 or more", path=name)
    return timespans


def _without_empty_steps(
    x: np.ndarray, timespans: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """A step without any feature is no observation: its time passes to the next one."""
    kept = np.ones(timespans.shape, bool) if mask is None else mask
    seen = kept & ~np.isnan(x).all(axis=-1)
    if (seen == kept).all():
        return x, timespans, mask
    clock = np.cumsum(np.where(kept, timespans, 0.0), axis=1)
    before = np.maximum.accumulate(np.where(seen, clock, 0.0), axis=1)
    before = np.concatenate([np.zeros((len(x), 1)), before[:, :-1]], axis=1)
    return x, np.where(seen, clock - before, 0.0), seen


def _answers(y: np.ndarray, n: int, task: str, name: str) -> np.ndarray:
    y = _numeric(y, "y", name)
    axes = {"forecast": 3, "regression": 2}[task]
    if y.ndim == axes - 1:
        y = y[..., None]
    if y.ndim != axes or len(y) != n or 0 in y.shape:
        shape = {"forecast": "(n, horizon, targets)", "regression": "(n, targets)"}[task]
        found = f"`y` must be {shape} with n = {n}, got {y.shape}"
        raise DataError(found, "give it that shape", path=name)
    return y


def _labels(y: np.ndarray, n: int, name: str) -> np.ndarray:
    if y.shape == (n, 1):
        y = y[:, 0]
    if y.shape != (n,):
        raise DataError(f"`y` must be (n,) = ({n},) labels, got {y.shape}", path=name)
    if y.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(y))
        if len(bad):
            raise DataError(f"`y[{bad[0]}]` is {y[bad[0]]}", "label every sequence", path=name)
        if (y == np.rint(y)).all():
            y = y.astype(np.int64)
    if y.dtype.kind not in "iubUf":
        raise DataError(f"`y` must be labels, got {y.dtype}", "save numbers or text", path=name)
    return y.astype(object) if y.dtype.kind == "U" else np.array([str(v) for v in y], object)
