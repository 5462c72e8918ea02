"""Random numbers for the moves of a swarm: two uniforms for every particle and dimension.

A particle swarm spends more on random numbers than on anything else of its own, so there are three
ways to make them:

    hash     one 32-bit hash of (key, iteration, index), split into two 16-bit uniforms; the default
    split    one 32-bit draw of JAX's own generator, split alike
    full     two draws of JAX's own generator with all the bits of the dtype

The hash takes seven operations that vectorise; the generator carried in the state is the key and
the number of the iteration, so that a particle gets the same numbers wherever it is computed. A
uniform of 16 bits moves a particle in steps of 1/65536 of the way to its goal, finer than what
matters; restarts and first positions always take the full bits.

Source of the mixing function: C. Wellons, "Prospecting for hash functions" (2018), `lowbias32`; the
iteration enters at the start and in the middle, as two words.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

KINDS = ("hash", "split", "full")

_GOLDEN = 0x9E3779B9  # 2³² over the golden ratio


def _mix(x: Array, between: Array | int = 0) -> Array:
    """A bijection of 32-bit words in which every bit of the input flips half of the output."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = x ^ between
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)


def _words(key: PRNGKeyArray, iteration: Int[Array, ""]) -> tuple[Array, Array]:
    """Two words that belong to this key and iteration."""
    seeds = jax.random.key_data(key).reshape(-1)[-2:].astype(jnp.uint32)
    first = _mix(seeds[0] + iteration.astype(jnp.uint32) * jnp.uint32(_GOLDEN), seeds[1])
    return first, _mix(seeds[1] ^ (first + jnp.uint32(_GOLDEN)), first)


def hashed_bits(
    key: PRNGKeyArray, iteration: Int[Array, ""], shape: tuple[int, ...]
) -> UInt32[Array, "particles dims"]:
    """32 bits for each entry: a pure function of the key, the iteration and the entry's place."""
    start, between = _words(key, iteration)
    rows = jax.lax.broadcasted_iota(jnp.uint32, shape, 0)
    place = rows * jnp.uint32(shape[1]) + jax.lax.broadcasted_iota(jnp.uint32, shape, 1)
    return _mix(place + start, between)


def _halves(bits: Array, dtype) -> tuple[Array, Array]:
    """Two uniforms in [0, 1) of a word's upper and lower 16 bits."""
    scale = jnp.asarray(2.0**-16, dtype)
    upper, lower = bits >> 16, bits & jnp.uint32(0xFFFF)
    return upper.astype(jnp.int32).astype(dtype) * scale, lower.astype(jnp.int32).astype(
        dtype
    ) * scale


def pair(
    kind: str, key: PRNGKeyArray, iteration: Int[Array, ""], shape: tuple[int, ...], dtype
) -> tuple[Float[Array, "particles dims"], Float[Array, "particles dims"]]:
    """Two independent uniforms in [0, 1) for every entry.

    >>> a, b = pair("hash", jax.random.key(0), jnp.asarray(3), (500, 40), jnp.float32)
    >>> bool((a >= 0).all() & (a < 1).all()), round(float(b.mean()), 2)
    (True, 0.5)
    """
    if kind == "hash":
        return _halves(hashed_bits(key, iteration, shape), dtype)
    key = jax.random.fold_in(key, iteration)
    if kind == "split":
        return _halves(jax.random.bits(key, shape, jnp.uint32), dtype)
    one, two = jax.random.split(key)
    return jax.random.uniform(one, shape, dtype), jax.random.uniform(two, shape, dtype)
