"""Capacity: how many assignments an expert takes, and which ones.

    C = ceil(factor · k · T / E)

with the real tokens only in T. First choices of all tokens go before second choices, and within
a choice earlier tokens before later ones, as in GShard and Switch.
"""

from __future__ import annotations

from fractions import Fraction

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int


def capacity(tokens: int | Array, n_experts: int, top_k: int, factor: float):
    """The number of assignments an expert takes: a whole number, or an array where tokens are.

    Exact: 1.1 · 2 · 10 / 2 is 11, not the 11.000000000000002 that would be rounded up to 12.

    >>> (
    ...     capacity(10, 2, 2, 1.1),
    ...     capacity(100, 8, 2, 1.25),
    ...     int(capacity(jnp.array(100), 8, 2, 1.25)),
    ... )
    (11, 32, 32)
    """
    exact = max(Fraction(factor).limit_denominator(1000), Fraction(1, 1000))
    share = exact * Fraction(top_k, n_experts)
    many, of = share.numerator, share.denominator
    whole, rest = tokens // of, tokens % of  # so that nothing overflows in 32 bits
    return many * whole - (-many * rest // of)


def within(
    experts: Int[Array, "tokens chosen"], n_experts: int, limit: int | Array
) -> Bool[Array, "tokens chosen"]:
    """Which assignments find room.

    >>> within(jnp.array([[0, 1], [0, 1], [1, 0]]), 2, 2).tolist()
    [[True, True], [True, False], [True, False]]
    """
    queue = experts.T.reshape(-1)
    order = jnp.argsort(queue, stable=True)
    counts = jnp.bincount(queue, length=n_experts + 1)
    starts = jnp.cumsum(counts) - counts
    place = jnp.zeros_like(order).at[order].set(jnp.arange(order.size), unique_indices=True)
    fits = (place - starts[queue] < limit) & (queue < n_experts)
    return fits.reshape(experts.T.shape).T
