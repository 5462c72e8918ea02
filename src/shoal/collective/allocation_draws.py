"""A budget over tokens: shares turned into fractions of at most one, and drawn tokens.

    fractions   f_j = min(1, c·p_j),  Σ_j f_j = B
                of all f with 0 ≤ f_j ≤ 1 that sum to B, the nearest to B·p in relative entropy

    draw        the B greatest of ln p_j + G_j,  G_j independent standard Gumbel
                B tokens one after the other, each ∝ p among those that are left

Fractions have a closed form: with p sorted, the k greatest are at 1 and the others share B − k in
proportion to p; k is the least number for which nobody exceeds 1.

A drawn token's chance of being in the sample is not its fraction, but near it where p is flat.

Sources: capping, Warmuth, Kuzmin, "Randomized Online PCA Algorithms with Regret Bounds that are
Logarithmic in the Dimension" (2008); drawing, Kool, van Hoof, Welling, "Stochastic Beams and Where
to Find Them: The Gumbel-Top-k Trick for Sampling Sequences Without Replacement" (2019).
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from shoal.equations.voting import straight_through


class Draw(NamedTuple):
    """Tokens drawn without replacement.

    Attributes:
        indices: (..., budget), in the order they were drawn.
        chosen: (..., tokens), 1 for the drawn ones, 0 elsewhere; its gradient is that of the
            fractions (straight through).
        log_probability: (...), of drawing these in this order.
    """

    indices: Array
    chosen: Array
    log_probability: Array


@eqx.filter_jit
def capped(
    log_shares: Float[Array, "*batch tokens"], budget: float | Array
) -> Float[Array, "*batch tokens"]:
    """Fractions f_j = min(1, c·p_j) that sum to `budget`; 1 for all that can be, if they are few.

    Args:
        log_shares: ln p_j, of any sum; −inf for a token that gets nothing.
        budget: what the fractions sum to, at least 0.

    >>> capped(jnp.log(jnp.array([0.8, 0.1, 0.1])), 2).round(3).tolist()
    [1.0, 0.5, 0.5]
    """
    lowest = jnp.finfo(log_shares.dtype).min / 4  # in place of −inf, whose sums have no slope
    some = log_shares > lowest
    log_p = jnp.where(some, jax.nn.log_softmax(log_shares), lowest)
    sorted_p = -jnp.sort(-log_p)
    left = jnp.maximum(budget - jnp.arange(log_p.shape[-1]), 0).astype(log_p.dtype)  # k at 1: B − k
    share = (left > 0) & (sorted_p > lowest)  # there is something to share, and somebody
    tail = jax.lax.cumlogsumexp(sorted_p, axis=log_p.ndim - 1, reverse=True)
    log_c = jnp.log(jnp.where(left > 0, left, 1)) - tail
    fits = share & (log_c + sorted_p <= 0)
    first = jnp.argmax(fits, axis=-1, keepdims=True)
    shared = jnp.exp(jnp.minimum(log_p + jnp.take_along_axis(log_c, first, axis=-1), 0))
    fraction = jnp.where(fits.any(-1, keepdims=True), shared, 1)
    return jnp.where(some & (jnp.asarray(budget) > 0), fraction, 0)


@eqx.filter_jit
def draw(log_shares: Float[Array, "*batch tokens"], budget: int, key: PRNGKeyArray) -> Draw:
    """`budget` different tokens, one after the other, each in proportion to its share of the rest.

    >>> drawn = draw(jnp.log(jnp.array([0.5, 0.3, 0.2])), 2, jax.random.key(0))
    >>> drawn.indices.shape, float(drawn.chosen.sum())
    ((2,), 2.0)
    """
    noise = jax.random.gumbel(key, log_shares.shape, log_shares.dtype)
    _, indices = jax.lax.top_k(log_shares + noise, budget)
    hard = jax.nn.one_hot(indices, log_shares.shape[-1], dtype=log_shares.dtype).sum(-2)
    chosen = straight_through(jnp, hard, capped(log_shares, budget))
    return Draw(indices, chosen, log_probability(log_shares, indices))


@eqx.filter_jit
def log_probability(
    log_shares: Float[Array, "*batch tokens"], indices: Int[Array, "*batch drawn"]
) -> Float[Array, " *batch"]:
    """ln Π_t p_{j_t} / (1 − Σ_{s<t} p_{j_s}), of drawing `indices` in their order.

    >>> p = jnp.array([0.5, 0.3, 0.2])
    >>> float(jnp.exp(log_probability(jnp.log(p), jnp.array([0, 2])))).__round__(4)  # 0.5 · 0.2/0.5
    0.2
    """
    taken = jax.nn.one_hot(indices, log_shares.shape[-1], dtype=log_shares.dtype)
    before = jnp.cumsum(taken, axis=-2) - taken  # (..., drawn, tokens), 1 where already drawn
    left = jnp.where(before > 0, -jnp.inf, log_shares[..., None, :])
    chosen = jnp.take_along_axis(log_shares, indices, axis=-1)
    return (chosen - jax.nn.logsumexp(left, axis=-1)).sum(-1)
