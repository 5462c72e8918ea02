"""Grouped experts on a CPU: one block of rows after the other, nothing padded to a capacity.

An expert's run of rows is one block of the size that fits, or that and several of the largest size.
What a block computes stays in the cache.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import sequential_vmap

from shoal.collective.moe.expert_calls import ExpertCalls, at_expert, wide_zeros

LARGEST = 256
"""Rows: beyond, a block of a wide expert leaves the cache (measured)."""


def block_sizes(rows: int, n_experts: int) -> tuple[int, ...]:
    """How many rows at once, ascending: closest together where most experts will be.

    >>> block_sizes(8192, 64), block_sizes(8192, 8), block_sizes(4, 8)
    ((64, 96, 112, 128, 144, 160, 176, 192, 256), (64, 128, 192, 256), (8,))
    """
    mean = max(rows // n_experts, 1)
    if mean < 32:
        return (max(1 << (mean.bit_length() - 1), 8),)
    if 2 * mean > LARGEST:
        return tuple(range(LARGEST // 4, LARGEST + 1, LARGEST // 4))
    eighth = -(-mean // 32) * 4
    return tuple(eighth * k for k in (4, 6, 7, 8, 9, 10, 11, 12, 16))


def forward(calls: ExpertCalls, learned, other, x, counts, sizes):
    """Every row through its expert; 0 in rows that no expert has."""

    @sequential_vmap
    def run(learned, other, x, counts):
        def answer(weights, size, at, own, y):
            return _write(y, calls.answer(weights, _slice(x, at, size)), at, own)

        def first(size, e, at, own, y):
            return answer(at_expert((learned, other), e), size, at, own, y)

        def more(e, at, blocks, y):
            most, weights = sizes[-1], at_expert((learned, other), e)
            return lax.fori_loop(
                0, blocks, lambda i, y: answer(weights, most, at + i * most, most, y), y
            )

        shape = calls.shape((learned, other), x)
        return _over_blocks(sizes, counts, jnp.zeros(shape.shape, shape.dtype), first, more)

    return run(learned, other, x, counts)


def backward(calls: ExpertCalls, learned, other, x, counts, dy, sizes):
    """The gradients of x's rows and of the experts' weights, summed in at least float32."""

    @sequential_vmap
    def run(learned, other, x, counts, dy):
        def pull(weights, size, at, own, dx):
            mine = (jnp.arange(size) < own)[:, None]
            dy_block = jnp.where(mine, _slice(dy, at, size), 0)
            new, slopes = calls.pull(weights, _slice(x, at, size), dy_block)
            return _write(dx, new, at, own), slopes

        def first(size, e, at, own, carry):
            dx, slopes = pull(at_expert((learned, other), e), size, at, own, carry[0])
            return dx, _put(carry[1], slopes, e)

        def more(e, at, blocks, carry):
            most, weights = sizes[-1], at_expert((learned, other), e)

            def block(i, carry):
                dx, slopes = pull(weights, most, at + i * most, most, carry[0])
                return dx, jax.tree.map(jnp.add, carry[1], slopes)

            dx, total = lax.fori_loop(0, blocks, block, (carry[0], at_expert(carry[1], e)))
            return dx, _put(carry[1], total, e)

        return _over_blocks(sizes, counts, (jnp.zeros_like(x), wide_zeros(learned)), first, more)

    return run(learned, other, x, counts, dy)


def _over_blocks(sizes, counts, carry, first, more):
    """For each expert a block of the smallest size that will do; then, where there are more rows,
    as many of the largest as are left. A loop for each size, over the experts it suits."""
    most, starts = sizes[-1], jnp.cumsum(counts) - counts
    own = jnp.where(counts > 0, (counts - 1) % most + 1, 0)
    which = jnp.searchsorted(jnp.array((0, *sizes)), own)
    experts = jnp.argsort(which)
    ends = jnp.cumsum(jnp.bincount(which, length=len(sizes) + 1))
    for k, size in enumerate(sizes):

        def turn(i, carry, size=size):
            e = experts[i]
            return first(size, e, starts[e], own[e], carry)

        carry = lax.fori_loop(ends[k], ends[k + 1], turn, carry)
    blocks = (counts - own) // most
    large = jnp.argsort(blocks == 0)

    def rest(i, carry):
        e = large[i]
        return more(e, starts[e] + own[e], blocks[e], carry)

    return lax.fori_loop(0, jnp.sum(blocks > 0), rest, carry)


def _put(stacked, new, e):
    set_ = lax.dynamic_update_index_in_dim
    return jax.tree.map(lambda a, b: set_(a, b.astype(a.dtype), e, 0), stacked, new)


def _slice(a, at, size):
    return lax.dynamic_slice_in_dim(a, at, size)


def _write(a, block, at, own):
    """The block's first `own` rows at their place; what stands behind them is left alone."""
    old = _slice(a, at, len(block))
    new = jnp.where((jnp.arange(len(block)) < own)[:, None], block.astype(a.dtype), old)
    return lax.dynamic_update_slice_in_dim(a, new, at, 0)
