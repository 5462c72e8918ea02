"""Rounds of messages: what one hears of the others, when it is enough, how far they agree.

    r_i = 1/(n−1) Σ_{j≠i} m_j                    the mean of the others; zeros for one alone
    agreement = ‖mean_i h_i‖² / mean_i ‖h_i‖²     in [0, 1], per sample

The agreement is the share of the states' second moment that all agents have in common: 1 where all
are equal, 0 where they cancel, near 1/n for n states that are independent and centred.

A sample is done once no entry of any of its states moved by more than `tolerance`; they then stay
as they are, whatever the rest of the batch does. The loop is a `lax.scan` of fixed length whose
updates are masked, so that it can be differentiated in reverse, which a `while_loop` cannot; once
every sample is done the remaining updates are skipped (under `vmap` they are computed and dropped).

Sources: averaging with one's neighbours, DeGroot, "Reaching a Consensus" (1974), and Boyd et al.,
"Randomized Gossip Algorithms" (2006).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def mean_of_others(messages: Float[Array, "agents ..."]) -> Float[Array, "agents ..."]:
    """What each hears: the mean of everybody else's message; zeros for one who is alone.

    Sums of those before and of those after, so that one's own message is left out exactly: not
    even by rounding, or as NaN, does it come back.

    >>> mean_of_others(jnp.array([[1.0], [2.0], [jnp.nan]]))[:, 0]
    Array([nan, nan, 1.5], dtype=float32)
    """
    n = len(messages)
    nothing = jnp.zeros_like(messages[:1])
    if n == 1:
        return nothing
    before = jnp.concatenate([nothing, jnp.cumsum(messages[:-1], axis=0)])
    after = jnp.concatenate([jnp.cumsum(messages[:0:-1], axis=0)[::-1], nothing])
    return (before + after) / (n - 1)


def agreement(hidden: Float[Array, "agents batch hidden"]) -> Float[Array, " batch"]:
    """‖mean_i h_i‖² / mean_i ‖h_i‖², in [0, 1]; 1 where every state is 0.

    >>> agreement(jnp.array([[[1.0, 0.0]], [[0.0, 1.0]]])).tolist()
    [0.5]
    """
    common = (hidden.mean(0) ** 2).sum(-1)
    whole = (hidden**2).sum(-1).mean(0)
    some = whole > 0
    ratio = jnp.where(some, common / jnp.where(some, whole, 1.0), 1.0)
    return jnp.where(jnp.isnan(whole), whole, jnp.clip(ratio, 0.0, 1.0))


def discuss(
    step: Callable[[Array], Array],
    hidden: Float[Array, "agents batch hidden"],
    iterations: int = 5,
    tolerance: float = 1e-3,
) -> tuple[Array, Float[Array, "steps batch"], Int[Array, " batch"]]:
    """`step` again and again, per sample until nothing moves by more than `tolerance`.

    Returns:
        The last states, the agreement before and after each step, (iterations + 1, batch), and how
        many steps each sample took.

    >>> halve = lambda h: h / 2
    >>> h, agreed, taken = discuss(halve, jnp.array([[[1.0], [0.1]]]), 5, tolerance=0.05)
    >>> h[0, :, 0].tolist(), taken.tolist(), agreed.shape
    ([0.03125, 0.05...], [5, 1], (6, 2))
    """

    def body(carry, _):
        hidden, talking, taken = carry
        new = jax.lax.cond(talking.any(), lambda h: step(h), lambda h: h, hidden)
        new = jnp.where(talking[:, None], new, hidden)
        moved = jnp.abs(new - hidden).max((0, 2))
        taken = taken + talking
        return (new, talking & (moved > tolerance), taken), agreement(new)

    batch = hidden.shape[1]
    start = hidden, jnp.ones(batch, bool), jnp.zeros(batch, jnp.int32)
    (last, _, taken), after = jax.lax.scan(body, start, None, length=iterations)
    return last, jnp.concatenate([agreement(hidden)[None], after]), taken
