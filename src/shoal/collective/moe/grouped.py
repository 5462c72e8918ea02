"""Every row through its own expert: y_i = f_{e(i)}(x_i), with x sorted by expert.

How is chosen when the program is lowered: a loop over blocks on a CPU, where batched products and
`ragged_dot` are slow, rounds over all experts elsewhere. Both lose no row, whatever the balance.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from shoal.collective.moe import blocks, rounds
from shoal.collective.moe.halves import Halves


def grouped(
    experts: Any,
    x: Float[Array, "rows features"],
    counts: Int[Array, " experts"],
    sizes: tuple[int, ...],
) -> Float[Array, "rows outputs"]:
    """The answers of stacked experts to their runs of rows.

    Differentiable once, in reverse, by the experts' weights and x.

    Args:
        experts: any callable module, every array of it with a leading axis of experts.
        x: expert 0's rows, then expert 1's, ...; then at least max(sizes) rows of slack.
        counts: rows per expert.
        sizes: of `blocks.block_sizes`.

    Returns:
        The answers in the same order; 0 in rows that no expert has.
    """
    learned, rest = eqx.partition(experts, eqx.is_inexact_array)
    other, static = eqx.partition(rest, eqx.is_array)
    halves = Halves(static)

    @jax.custom_vjp
    def run(learned, other, x, counts):
        return _forward(halves, learned, other, x, counts, sizes, False)[0]

    def run_forward(learned, other, x, counts):
        y, kept = _forward(halves, learned, other, x, counts, sizes, True)
        return y, (learned, other, x, counts, kept)

    def run_backward(held, dy):
        learned, other, x, counts, kept = held
        dx, total = _backward(halves, learned, other, x, counts, kept, dy, sizes)
        gradients = jax.tree.map(lambda g, w: g.astype(w.dtype), total, learned)
        return gradients, None, dx, None

    run.defvjp(run_forward, run_backward)
    y = run(learned, other, x, counts)
    return jnp.where((jnp.arange(len(y)) < counts.sum())[:, None], y, 0)


def all_experts(
    experts: Any, x: Float[Array, "tokens features"]
) -> Float[Array, "experts tokens outputs"]:
    """Every expert's answer to every token: the reference, and what shared experts do."""
    learned, rest = eqx.partition(experts, eqx.is_inexact_array)
    other, static = eqx.partition(rest, eqx.is_array)
    halves = Halves(static)

    def one(learned, other):
        return halves.second(learned, other, x, halves.first(learned, other, x))

    return jax.vmap(one)(learned, other)


def _forward(halves, learned, other, x, counts, sizes, keep: bool):
    def by(way):
        return lambda *arrays: way.forward(halves, *arrays, sizes, keep)

    return lax.platform_dependent(learned, other, x, counts, cpu=by(blocks), default=by(rounds))


def _backward(halves, learned, other, x, counts, kept, dy, sizes):
    def by(way):
        return lambda *arrays: way.backward(halves, *arrays, sizes)

    return lax.platform_dependent(
        learned, other, x, counts, kept, dy, cpu=by(blocks), default=by(rounds)
    )
