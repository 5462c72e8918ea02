"""Scaling: from raw values to what a member reads, and from its answers back to raw units.

A feature x becomes (x − b − m)/s, and 0 where it is missing or padded. A feature that can be
missing brings two columns more, its indicator and its age:

    e = [ (x − b − m)/s ,  1 where missing ,  log(1 + a/τ) ]

b is 0, or, for features that are read as changes, the last value observed in the window.
a is the time since the feature was last observed (0 where it is observed now; counted from the
sequence's first step until it was), τ the mean time between observations. A target y becomes
(y − b − m)/s with b = 0, or, for the change since then, b = the last value observed.

Everything here serves NumPy, JAX, PyTorch and MLX: `xp` is the array namespace. Shapes may be
symbolic. NaN marks what is missing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

Array = Any


def encode(
    xp: Any,
    x: Array,
    timespans: Array,
    mask: Array | None,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    sparse: Sequence[int],
    mean_timespan: float,
    relative: Sequence[int] = (),
) -> Array:
    """The columns a member reads: values, then indicators, then ages of the `sparse` features.

    Args:
        xp: the array namespace.
        x: (batch, time, features), raw, NaN where missing.
        timespans: (batch, time), the time elapsed before each observation.
        mask: (batch, time), True where there is an observation; None where all are.
        mean, std: one number per feature.
        sparse: the features that can be missing.
        mean_timespan: the time scale τ of the ages.
        relative: the features that are read as their change from the last value observed.

    >>> import numpy as np
    >>> x = np.array([[[3.0], [np.nan], [np.nan]]])
    >>> facts = dict(mean=[1.0], std=[2.0], sparse=[0], mean_timespan=1.0)
    >>> encode(np, x, np.ones((1, 3)), None, **facts).round(2)
    array([[[1.  , 0.  , 0.  ], [0.  , 1.  , 0.69], [0.  , 1.  , 1.1 ]]])
    """
    observed = is_observed(x, mask)
    raw = changes(xp, x, mask, relative)
    scaled = (raw - constant(xp, mean, x)) / constant(xp, std, x)
    columns = [xp.where(observed, scaled, xp.zeros_like(scaled))]
    if len(sparse):
        seen = _columns(xp, observed, sparse)
        missing = ~seen if mask is None else ~seen & (mask[..., None])
        ones = xp.ones_like(_columns(xp, x, sparse))
        age = xp.log1p(ages(xp, seen, timespans, mask) / mean_timespan)
        zeros = xp.zeros_like(ones)
        columns += [xp.where(missing, ones, zeros), xp.where(missing, age, zeros)]
    return columns[0] if len(columns) == 1 else xp.concatenate(columns, axis=-1)


def changes(xp: Any, x: Array, mask: Array | None, relative: Sequence[int]) -> Array:
    """x with the `relative` features counted from the last value observed of each.

    >>> import numpy as np
    >>> changes(np, np.array([[[3.0, 1.0], [5.0, 2.0]]]), None, [0])
    array([[[-2.,  1.],
            [ 0.,  2.]]])
    """
    if not len(relative):
        return x
    last = last_observed(xp, x, mask, range(x.shape[-1]))[:, None, :]
    chosen = constant(xp, [float(i in relative) for i in range(x.shape[-1])], x)
    return x - xp.where(chosen > 0, last, xp.zeros_like(last))


def is_observed(x: Array, mask: Array | None) -> Array:
    """(batch, time, features) True where a value is neither missing nor padding."""
    observed = x == x
    return observed if mask is None else observed & mask[..., None]


def ages(xp: Any, observed: Array, timespans: Array, mask: Array | None) -> Array:
    """(batch, time, features): the time since each feature was last observed.

    0 where it is observed now. Until it has been observed it counts from the first step.

    >>> import numpy as np
    >>> observed = np.array([[[False], [True], [False], [False]]])
    >>> ages(np, observed, np.array([[9.0, 1.0, 2.0, 3.0]]), None)[0, :, 0]
    array([0., 0., 2., 5.])
    """
    elapsed = timespans if mask is None else xp.where(mask, timespans, xp.zeros_like(timespans))
    clock = xp.cumsum(elapsed, axis=1)[..., None]
    seen = xp.where(observed, clock, clock[:, :1])
    return clock - cumulative_maximum(xp, seen)


def last_observed(xp: Any, x: Array, mask: Array | None, columns: Sequence[int]) -> Array:
    """(batch, len(columns)): the last value observed of each; NaN where there was none.

    >>> import numpy as np
    >>> last_observed(np, np.array([[[1.0], [2.0], [np.nan]]]), None, [0])
    array([[2.]])
    """
    chosen = _columns(xp, x, columns)
    observed = is_observed(chosen, mask)
    zeros = xp.zeros_like(chosen)
    count = xp.cumsum(xp.where(observed, xp.ones_like(chosen), zeros), axis=1)
    total = count[:, -1:]
    is_last = observed & (count == total)
    last = xp.sum(xp.where(is_last, chosen, zeros), axis=1)
    return xp.where(total[:, 0] > 0, last, xp.zeros_like(last) + float("nan"))


def encode_targets(
    xp: Any, y: Array, last: Array | None, mean: Sequence[Any], std: Sequence[Any]
) -> Array:
    """(y − last − mean)/std; `last` (batch, targets) is None for targets that are levels.

    >>> import numpy as np
    >>> encode_targets(np, np.array([[[7.0]]]), np.array([[5.0]]), [[1.0]], [[0.5]])
    array([[[2.]]])
    """
    base = y if last is None else y - _per_horizon(y, last)
    return (base - constant(xp, mean, y)) / constant(xp, std, y)


def decode(xp: Any, y: Array, last: Array | None, mean: Sequence[Any], std: Sequence[Any]) -> Array:
    """y·std + mean + last: the inverse of `encode_targets`; `y` may lead with a member axis.

    >>> import numpy as np
    >>> decode(np, np.array([[[2.0]]]), np.array([[5.0]]), [[1.0]], [[0.5]])
    array([[[7.]]])
    """
    raw = y * constant(xp, std, y) + constant(xp, mean, y)
    return raw if last is None else raw + _per_horizon(raw, last)


def decode_spread(xp: Any, y: Array, std: Sequence[Any]) -> Array:
    """y·std: a standard deviation in raw units; no shift touches it."""
    return y * constant(xp, std, y)


def constant(xp: Any, values: Sequence[Any], like: Array) -> Array:
    """The numbers as an array of the type, and on the device, of `like`."""
    if xp.__name__ == "torch":
        return xp.asarray(values, dtype=like.dtype, device=like.device)
    make = xp.asarray if hasattr(xp, "asarray") else xp.array
    return make(values, dtype=like.dtype)


def cumulative_maximum(xp: Any, a: Array) -> Array:
    """The largest entry so far along axis 1, by each framework's own name for it."""
    if xp.__name__ == "jax.numpy":
        return sys.modules["jax"].lax.cummax(a, axis=1)
    if xp.__name__ == "torch":
        return xp.cummax(a, 1).values
    if hasattr(xp, "cummax"):
        return xp.cummax(a, axis=1)
    return xp.maximum.accumulate(a, axis=1)


def _columns(xp: Any, a: Array, columns: Sequence[int]) -> Array:
    """The chosen features; slices are what every framework agrees on."""
    if list(columns) == list(range(a.shape[-1])):
        return a
    return xp.concatenate([a[..., i : i + 1] for i in columns], axis=-1)


def _per_horizon(y: Array, last: Array) -> Array:
    """`last` (batch, targets) beside `y` (..., batch, horizon, targets)."""
    return last if y.ndim == last.ndim else last[:, None, :]
