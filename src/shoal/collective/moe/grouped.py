"""Every row through its own expert: y_i = f_{e(i)}(x_i), with x sorted by expert.

How is chosen when the program is lowered: a loop over blocks on a CPU, where batched products and
`ragged_dot` are slow, rounds over all experts elsewhere. Both lose no row, whatever the balance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jax import lax
from jaxtyping import Array, Float, Int

from shoal.collective.moe import blocks, rounds
from shoal.collective.moe.expert_calls import ExpertCalls


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
    calls, learned, other = _parts(experts)

    @jax.custom_vjp
    def run(learned, other, x, counts):
        return _by_platform("forward", calls, sizes)(learned, other, x, counts)

    def run_forward(*given):
        return run(*given), given

    def run_backward(given, dy):
        dx, total = _by_platform("backward", calls, sizes)(*given, dy)
        gradients = jax.tree.map(lambda g, w: g.astype(w.dtype), total, given[0])
        return gradients, None, dx, None

    run.defvjp(run_forward, run_backward)
    return run(learned, other, x, counts)


def all_experts(
    experts: Any, x: Float[Array, "tokens features"]
) -> Float[Array, "experts tokens outputs"]:
    """Every expert's answer to every token: the reference, and what shared experts do."""
    calls, learned, other = _parts(experts)
    return jax.vmap(lambda weights: calls.answer(weights, x))((learned, other))


def _parts(experts: Any) -> tuple[ExpertCalls, Any, Any]:
    """How experts are called, the arrays they learn, and their other arrays."""
    learned, rest = eqx.partition(experts, eqx.is_inexact_array)
    other, static = eqx.partition(rest, eqx.is_array)
    return ExpertCalls(static), learned, other


def _by_platform(name: str, calls: ExpertCalls, sizes: tuple[int, ...]) -> Callable:
    def by(way):
        return lambda *arrays: getattr(way, name)(calls, *arrays, sizes)

    return lambda *arrays: lax.platform_dependent(*arrays, cpu=by(blocks), default=by(rounds))
