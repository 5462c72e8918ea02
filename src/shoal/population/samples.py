"""What is trained on: samples as one pytree, and the order in which an epoch sees them.

The order of an epoch depends on `data_seed` and the epoch's number alone, so every member sees the
same, and a training that is taken up again sees what it would have seen.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np


class Samples(NamedTuple):
    """x (n, ...), timespans (n, time)|None, mask (n, time)|None, y (n, ...), y_mask like y|None."""

    x: Any
    timespans: Any
    mask: Any
    y: Any
    y_mask: Any

    @property
    def count(self) -> int:
        return self.x.shape[0]


class Order(NamedTuple):
    """Batches of one pass: `rows` (batches, batch) and `weights` alike, 0 where a row is filler."""

    rows: Any
    weights: Any


def as_samples(data: Any, name: str) -> Samples:
    """Samples from `(x, y)`, `(x, timespans, y)` or anything with x, timespans, mask, y, y_mask.

    Raises:
        ValueError: for another form, unlike lengths, no samples, or values that are not finite
            where no mask excuses them.
    """
    samples = _collected(data, name)
    for field, array in samples._asdict().items():
        if array is not None and len(array) != samples.count:
            raise ValueError(
                f"`{name}`: every array must have {samples.count} samples like x, "
                f"but {field} has {len(array)}"
            )
    if samples.count == 0:
        raise ValueError(f"`{name}` must hold at least one sample, got none")
    _check_finite(samples, name)
    return _without_masked_targets(samples)


def _collected(data: Any, name: str) -> Samples:
    if isinstance(data, tuple | list) and not isinstance(data, Samples):
        if len(data) not in (2, 3):
            raise ValueError(f"`{name}` must be (x, y) or (x, timespans, y), got {len(data)} parts")
        x, y, timespans = data[0], data[-1], data[1] if len(data) == 3 else None
        fields = {"x": x, "timespans": timespans, "y": y}
    else:
        names = Samples._fields
        fields = {field: getattr(data, field, None) for field in names}
    if fields.get("x") is None or fields.get("y") is None:
        raise ValueError(f"`{name}` needs both x and y; found {type(data).__name__} without them")
    arrays = {f: None if a is None else np.asarray(a) for f, a in fields.items()}
    return Samples(*(arrays.get(field) for field in Samples._fields))


def _check_finite(samples: Samples, name: str) -> None:
    for field, mask in (("x", samples.mask), ("timespans", samples.mask), ("y", samples.y_mask)):
        array = getattr(samples, field)
        if array is None or array.dtype.kind not in "fc" or np.isfinite(array).all():
            continue
        bad = ~np.isfinite(array)
        if field == "y" and mask is not None:
            bad &= _like(mask, array)
        if bad.any():
            row = int(np.argwhere(bad)[0][0])
            hint = "mask it with `y_mask`" if field == "y" else "fill it, e.g. with 0, and mask it"
            raise ValueError(
                f"`{name}`: {field} must be finite, sample {row} is not "
                f"({int(bad.sum())} such values); {hint}"
            )


def _like(mask: np.ndarray, array: np.ndarray) -> np.ndarray:
    mask = np.asarray(mask, bool)
    return np.broadcast_to(mask.reshape(mask.shape + (1,) * (array.ndim - mask.ndim)), array.shape)


def _without_masked_targets(samples: Samples) -> Samples:
    """Masked targets as 0, since no gradient survives a NaN, masked or not."""
    if samples.y_mask is None:
        return samples
    kept = _like(samples.y_mask, samples.y)
    return samples._replace(y=np.where(kept, samples.y, 0).astype(samples.y.dtype))


def shuffled(count: int, batch_size: int, data_seed: int, epoch: int) -> Order:
    """Every sample once, in the order of this epoch; the last batch is filled up with weight 0.

    >>> order = shuffled(5, 2, data_seed=0, epoch=0)
    >>> order.rows.shape, sorted(order.rows[order.weights > 0].tolist())
    ((3, 2), [0, 1, 2, 3, 4])
    """
    rows = np.random.default_rng((data_seed, epoch)).permutation(count)
    return _batched(rows, min(batch_size, count))


def in_order(count: int, batch_size: int) -> Order:
    """Every sample once, as it comes, in batches of about equal size."""
    batches = -(-count // batch_size)
    return _batched(np.arange(count), -(-count // batches))


def _batched(rows: np.ndarray, size: int) -> Order:
    filler = -len(rows) % size
    weights = np.concatenate([np.ones(len(rows), np.float32), np.zeros(filler, np.float32)])
    rows = np.concatenate([rows, np.zeros(filler, rows.dtype)]).astype(np.int32)
    return Order(rows.reshape(-1, size), weights.reshape(-1, size))


def data_hash(*parts: Samples | None) -> str:
    """A SHA-256 of the samples' values, shapes and types."""
    digest = hashlib.sha256()
    for array in (a for part in parts for a in (part or ())):
        if array is None:
            digest.update(b"none")
        else:
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
