"""What a sequence layer accepts, brought to one form: (batch, time, ...).

Every rule is checked on shapes, which are known before anything is traced; values are looked at
only where they are concrete, so that what is compiled or exported is pure.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, PyTree


class Sequences(NamedTuple):
    """Batched inputs; `batched` says whether the user's were."""

    x: Float[Array, "batch time input"]
    timespans: Float[Array, "batch time"]
    mask: Bool[Array, "batch time"] | None
    batched: bool


def as_sequences(x, timespans, mask, *, input_size: int, dtype, signed_time: bool) -> Sequences:
    """Batched arrays of the layer's dtype, with every documented shape of timespans and mask.

    Raises:
        ValueError: naming the argument whose shape or sign is wrong, and the remedy.
    """
    x = _features(x, input_size, dtype)
    batched = x.ndim == 3
    size = x.shape[:-1]
    timespans = jnp.asarray(1.0 if timespans is None else timespans, dtype)
    timespans = _per_step("timespans", timespans, size)
    if mask is not None:
        mask = _per_step("mask", jnp.asarray(mask).astype(bool), size)
        x = jnp.where(mask[..., None], x, jnp.zeros((), dtype))  # padding may hold NaN
        timespans = jnp.where(mask, timespans, jnp.zeros((), dtype))
    if not signed_time:
        _refuse_negative(timespans)
    if not batched:
        x, timespans = x[None], timespans[None]
        mask = None if mask is None else mask[None]
    return Sequences(x, timespans, mask, batched)


def _features(x, input_size: int, dtype) -> Array:
    x = jnp.asarray(x)
    if x.ndim not in (2, 3):
        raise ValueError(
            f"`x` must be (batch, time, {input_size}) or (time, {input_size}), got {x.shape}."
        )
    if x.shape[-1] != input_size:
        hint = "; move the features to the last axis" if input_size in x.shape else ""
        raise ValueError(
            f"`x` must have input_size = {input_size} features on its last axis, "
            f"got {x.shape}{hint}."
        )
    return x.astype(dtype)


def _per_step(name: str, value: Array, size: tuple[int, ...]) -> Array:
    """A scalar, (time,), (batch, time), or either with a trailing 1, as `size`."""
    time = size[-1:]
    if value.shape in ((), size, time):
        return jnp.broadcast_to(value, size)
    if value.shape in ((*size, 1), (*time, 1)):
        return jnp.broadcast_to(value[..., 0], size)
    axes = "(batch, time)" if len(size) == 2 else "(time,)"
    remedy = "give one value per observation"
    if value.shape == size[::-1]:
        remedy = "transpose it"
    elif len(size) == 2 and value.shape == size[:1]:
        remedy = "for one value per series, broadcast it over time first"
    raise ValueError(f"`{name}` must be {axes} = {size}, got {value.shape}; {remedy}.")


def _refuse_negative(timespans: Array) -> None:
    if isinstance(timespans, Tracer):
        return
    values = np.asarray(timespans)
    negative = values < 0
    if negative.any():
        raise ValueError(
            f"`timespans` must be at least 0, the time that elapsed before each observation; "
            f"got {values[negative].min()}; sort the observations by time."
        )


def check_state(state: PyTree[Array], template: PyTree[Any]) -> None:
    """Raises a ValueError unless `state` has the structure and shapes of `template`."""
    found, expected = jax.tree.structure(state), jax.tree.structure(template)
    if found != expected:
        raise ValueError(
            f"`state` must have the structure {expected}, got {found}; pass on what the layer "
            "returned, or None to start from zero."
        )
    for have, want in zip(jax.tree.leaves(state), jax.tree.leaves(template), strict=True):
        if jnp.shape(have) != want.shape:
            raise ValueError(
                f"`state` must have arrays of shape {want.shape}, got {jnp.shape(have)}; pass on "
                "what the layer returned for a batch of this size."
            )


def gaps_ahead(
    timespans: Float[Array, "batch time"], mask: Bool[Array, "batch time"] | None
) -> Float[Array, "batch time"]:
    """For every observation the time to the following one that exists; 0 where there is none.

    >>> gaps_ahead(jnp.array([[1.0, 2.0, 3.0]]), None)
    Array([[2., 3., 0.]], dtype=float32)
    """
    end = jnp.zeros_like(timespans[:, :1])
    if mask is None:
        return jnp.concatenate([timespans[:, 1:], end], axis=1)
    time = timespans.shape[1]
    index = jnp.where(mask, jnp.arange(time), time)
    following = jax.lax.cummin(index, axis=1, reverse=True)
    following = jnp.concatenate([following[:, 1:], jnp.full_like(index[:, :1], time)], axis=1)
    return jnp.take_along_axis(jnp.concatenate([timespans, end], axis=1), following, axis=1)
