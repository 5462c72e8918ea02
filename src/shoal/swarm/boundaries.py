"""What happens to a particle that leaves the box.

    clip       stops at the wall; its speed across it is lost
    reflect    bounces back, as often as it takes, with its speed turned round
    periodic   comes in again on the other side, with its speed
    resample   starts anew at a random place of that dimension, without speed

Each is `(x, v, low, high, u) -> (x, v)` for positions and velocities (particles, dims), finite
walls (dims,) and uniforms `u` in [0, 1), of which only `resample` makes use; dimensions that are
inside are left as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Bool


def _outside(x: Array, low: Array, high: Array) -> Bool[Array, "particles dims"]:
    return (x < low) | (x > high)


def clip(x: Array, v: Array, low: Array, high: Array, u: Array) -> tuple[Array, Array]:
    """
    >>> x, v = clip(jnp.array([[3.0, 0.5]]), jnp.ones((1, 2)), 0.0, 1.0, 0.0)
    >>> x.tolist(), v.tolist()
    ([[1.0, 0.5]], [[0.0, 1.0]])
    """
    return jnp.clip(x, low, high), jnp.where(_outside(x, low, high), 0.0, v)


def reflect(x: Array, v: Array, low: Array, high: Array, u: Array) -> tuple[Array, Array]:
    """
    >>> x, v = reflect(jnp.array([[1.25, -0.25, 2.5]]), jnp.ones((1, 3)), 0.0, 1.0, 0.0)
    >>> x.tolist(), v.tolist()
    ([[0.75, 0.25, 0.5]], [[-1.0, -1.0, 1.0]])
    """
    width = high - low
    there = jnp.mod(x - low, 2 * width)
    turned = there > width  # after an odd number of walls
    bounced = low + jnp.where(turned, 2 * width - there, there)
    out = _outside(x, low, high)
    return jnp.where(out, bounced, x), jnp.where(out & turned, -v, v)


def periodic(x: Array, v: Array, low: Array, high: Array, u: Array) -> tuple[Array, Array]:
    """
    >>> x, v = periodic(jnp.array([[1.25, -0.25]]), jnp.ones((1, 2)), 0.0, 1.0, 0.0)
    >>> x.tolist(), v.tolist()
    ([[0.25, 0.75]], [[1.0, 1.0]])
    """
    wrapped = low + jnp.mod(x - low, high - low)
    return jnp.where(_outside(x, low, high), wrapped, x), v


def resample(x: Array, v: Array, low: Array, high: Array, u: Array) -> tuple[Array, Array]:
    """
    >>> x, v = resample(jnp.array([[7.0, 0.5]]), jnp.ones((1, 2)), 0.0, 1.0, 0.25)
    >>> x.tolist(), v.tolist()
    ([[0.25, 0.5]], [[0.0, 1.0]])
    """
    out = _outside(x, low, high)
    return jnp.where(out, low + u * (high - low), x), jnp.where(out, 0.0, v)


BOUNDARIES: dict[str, Callable] = {
    "clip": clip,
    "reflect": reflect,
    "periodic": periodic,
    "resample": resample,
}
