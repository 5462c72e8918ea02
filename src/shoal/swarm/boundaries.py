"""What happens to a particle that would leave the box.

    clip       stops at the wall; its velocity is the way that it went
    reflect    bounces back, with its velocity turned round
    periodic   comes in again on the other side, with its velocity
    resample   starts anew at a random place of that dimension, without velocity

Each is `(x, v, low, high, u) -> (x, v)`: from a position in the box and the velocity with which it
would leave, both (particles, dims), finite walls (dims,), and uniforms `u` in [0, 1), of which only
`resample` makes use. Dimensions that stay inside are moved by v and keep it.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array


def clip(x: Array, v: Array, low: Array, high: Array, u: Array) -> tuple[Array, Array]:
    """
    >>> x, v = clip(jnp.array([[0.5, 0.5]]), jnp.array([[2.0, 0.25]]), 0.0, 1.0, 0.0)
    >>> x.tolist(), v.tolist()
    ([[1.0, 0.75]], [[0.5, 0.25]])
    """
    v = jnp.clip(v, low - x, high - x)
    return x + v, v


def reflect(x: Array, v: Array, low: Array, high: Array, u: Array) -> tuple[Array, Array]:
    """
    >>> x, v = reflect(jnp.array([[0.75, 0.25]]), jnp.array([[0.5, -0.5]]), 0.0, 1.0, 0.0)
    >>> x.tolist(), v.tolist()
    ([[0.75, 0.25]], [[-0.5, 0.5]])
    """
    there = x + v
    over = there > high
    there = jnp.where(over, 2 * high - there, there)
    under = there < low
    there = jnp.where(under, 2 * low - there, there)
    return jnp.clip(there, low, high), jnp.where(over != under, -v, v)


def periodic(x: Array, v: Array, low: Array, high: Array, u: Array) -> tuple[Array, Array]:
    """
    >>> x, v = periodic(jnp.array([[0.75, 0.25]]), jnp.array([[0.5, -0.5]]), 0.0, 1.0, 0.0)
    >>> x.tolist(), v.tolist()
    ([[0.25, 0.75]], [[0.5, -0.5]])
    """
    there = x + v
    out = (there < low) | (there > high)
    return jnp.where(out, low + jnp.mod(there - low, high - low), there), v


def resample(x: Array, v: Array, low: Array, high: Array, u: Array) -> tuple[Array, Array]:
    """
    >>> x, v = resample(jnp.array([[0.75, 0.25]]), jnp.array([[7.0, 0.25]]), 0.0, 1.0, 0.125)
    >>> x.tolist(), v.tolist()
    ([[0.125, 0.5]], [[0.0, 0.25]])
    """
    there = x + v
    out = (there < low) | (there > high)
    return jnp.where(out, low + u * (high - low), there), jnp.where(out, 0.0, v)


BOUNDARIES: dict[str, Callable] = {
    "clip": clip,
    "reflect": reflect,
    "periodic": periodic,
    "resample": resample,
}
