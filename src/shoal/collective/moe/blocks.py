"""Grouped experts on a CPU: a loop over blocks of rows, nothing padded to a capacity.

Expert after expert, its run of rows is cut into blocks: large ones while they fit, then small ones
for the rest. What a block computes stays in the cache; the last block of an expert overruns into
the next one's rows, which that one then overwrites.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import sequential_vmap

from shoal.collective.moe.halves import Halves, at_expert, shapes_of

LARGEST = 256
"""Rows: beyond, a block of a wide expert leaves the cache (measured)."""


def block_sizes(rows: int, n_experts: int) -> tuple[int, ...]:
    """How many rows at once: a large size, and a small one for what is left.

    >>> block_sizes(8192, 8), block_sizes(8192, 64), block_sizes(4, 8)
    ((256, 64), (128, 32), (8,))
    """
    mean = max(rows // n_experts, 1)
    large = min(LARGEST, 1 << (mean.bit_length() - 1))
    return (large, large // 4) if large >= 32 else (max(large, 8),)


def forward(halves: Halves, learned, other, x, counts, sizes, keep: bool):
    """Every row through its expert: (answers, what is kept for the backward pass)."""

    @sequential_vmap
    def run(learned, other, x, counts):
        kept, y = shapes_of(halves, learned, other, x)
        out = (jnp.zeros(y.shape, y.dtype), _zeros(kept) if keep else ())

        def expert(e, out):
            weights = at_expert(learned, e), at_expert(other, e)

            def block(size, at, left, out):
                rows = _slice(x, at, size)
                kept = halves.first(*weights, rows)
                new = halves.second(*weights, rows, kept), kept if keep else ()
                return jax.tree.map(lambda a, b: _write(a, b, at), out, new)

            return _ladder(sizes, starts[e], counts[e], out, block)

        starts = jnp.cumsum(counts) - counts
        return lax.fori_loop(0, len(counts), expert, out)

    return run(learned, other, x, counts)


def backward(halves: Halves, learned, other, x, counts, kept, dy, sizes):
    """The gradients of x's rows and of the experts' weights, summed in at least float32."""

    @sequential_vmap
    def run(learned, other, x, counts, kept, dy):
        def expert(e, carry):
            dx, gradients = carry
            weights = at_expert(learned, e), at_expert(other, e)

            def block(size, at, left, carry):
                dx, total = carry
                mine = (jnp.arange(size) < left)[:, None]
                dy_block = jnp.where(mine, _slice(dy, at, size), 0)
                kept_block = jax.tree.map(lambda a: _slice(a, at, size), kept)
                dx_block, more = halves.pull(*weights, _slice(x, at, size), kept_block, dy_block)
                return _write(dx, dx_block, at), jax.tree.map(jnp.add, total, more)

            # the first block starts the sum: no zeros to add to, even where nothing is its own
            first, nothing = sizes[0], jax.tree.map(lambda g: jnp.zeros((), g.dtype), gradients)
            carry = block(first, starts[e], counts[e], (dx, nothing))
            dx, total = _ladder(sizes, starts[e] + first, counts[e] - first, carry, block)
            set_ = lax.dynamic_update_index_in_dim
            return dx, jax.tree.map(lambda g, t: set_(g, t, e, 0), gradients, total)

        starts = jnp.cumsum(counts) - counts
        dx = jnp.zeros_like(x)
        return lax.fori_loop(0, len(counts), expert, (dx, wide_zeros(learned)))

    return run(learned, other, x, counts, kept, dy)


def wide_zeros(learned):
    """Where gradients are summed."""
    return jax.tree.map(
        lambda w: jnp.zeros(w.shape, jnp.promote_types(w.dtype, jnp.float32)), learned
    )


def _ladder(sizes, at, left, carry, block):
    for size in sizes:
        enough = 1 if size == sizes[-1] else size  # the last size overruns

        def body(state, size=size):
            at, left, carry = state
            return at + size, left - size, block(size, at, left, carry)

        def more(state, enough=enough):
            return state[1] >= enough

        at, left, carry = lax.while_loop(more, body, (at, left, carry))
    return carry


def _slice(a, at, size):
    return lax.dynamic_slice_in_dim(a, at, size)


def _write(a, block, at):
    return lax.dynamic_update_slice_in_dim(a, block.astype(a.dtype), at, 0)


def _zeros(shapes):
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
