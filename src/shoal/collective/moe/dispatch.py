"""Dispatch: which token's row goes to which expert, in what order, and back again.

Assignments are sorted by expert, so that each expert reads one contiguous run of rows. What comes
back is gathered by the inverse order: neither direction, nor its gradient, scatters, where every
token has the same number of assignments.

    T tokens, E experts, k assignments per token, A = T·k assignments
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from shoal.collective.moe.blocks import block_sizes


class Plan(eqx.Module):
    """Assignments in the order of their experts.

    Attributes:
        rows: (A + slack,) the token of each assignment; what stands behind the experts' runs is
            nobody's.
        counts: (E,) how many assignments each expert has.
        slots: (T, k) where each assignment stands in that order; None where tokens differ in the
            number of their assignments.
        order: (A,) the inverse of `slots`.
        sizes: how many rows are computed at once; the slack is the largest.
    """

    rows: Int[Array, " rows"]
    counts: Int[Array, " experts"]
    slots: Int[Array, "tokens chosen"] | None
    order: Int[Array, " assignments"]
    sizes: tuple[int, ...] = eqx.field(static=True)


def by_tokens(experts: Int[Array, "tokens chosen"], n_experts: int) -> Plan:
    """The plan of each token's experts; a number of `n_experts` or more means nobody.

    >>> plan = by_tokens(jnp.array([[1], [0], [1], [2]]), 2)
    >>> plan.rows[:3].tolist(), plan.counts.tolist(), plan.slots[:, 0].tolist()
    ([1, 0, 2], [1, 2], [1, 0, 2, 3])
    """
    tokens, chosen = experts.shape
    order = jnp.argsort(experts.reshape(-1), stable=True)
    places = jnp.arange(order.size, dtype=jnp.int32)
    slots = jnp.zeros_like(places).at[order].set(places, unique_indices=True)
    return _plan(order // chosen, experts, n_experts, slots.reshape(tokens, chosen), order)


def by_experts(tokens: Int[Array, "experts chosen"], experts: Int[Array, "experts chosen"]) -> Plan:
    """The plan of each expert's tokens; `experts` names the expert again, or E for an empty place.

    >>> plan = by_experts(jnp.array([[3, 0], [1, 2]]), jnp.array([[0, 2], [1, 1]]))
    >>> plan.rows[:3].tolist(), plan.counts.tolist()
    ([3, 1, 2], [1, 2])
    """
    order = jnp.argsort(experts.reshape(-1), stable=True)
    return _plan(tokens.reshape(-1)[order], experts, len(tokens), None, order)


def _plan(rows: Array, experts: Array, n_experts: int, slots: Array | None, order) -> Plan:
    sizes = block_sizes(rows.size, n_experts)
    counts = jnp.bincount(experts.reshape(-1), length=n_experts + 1)[:n_experts]
    return Plan(jnp.pad(rows, (0, sizes[-1])), counts, slots, order, sizes)


def take(x: Float[Array, "tokens features"], plan: Plan) -> Float[Array, "rows features"]:
    """Each assignment's row of x; the slack holds copies of the first."""
    if plan.slots is None:
        return x[plan.rows]
    return _take(x, plan.rows, plan.slots)


def give_back(
    y: Float[Array, "rows features"], weights: Array, plan: Plan, tokens: int
) -> Float[Array, "tokens features"]:
    """Each token's weighted sum of its experts' answers.

    Args:
        weights: (T, k) as the plan's slots, or in the plan's own order, (A,).
        tokens: T.
    """
    if plan.slots is None:
        rows = plan.rows[: len(weights)]
        answers = y[: len(weights)] * weights[:, None]
        return jnp.zeros((tokens, y.shape[-1]), answers.dtype).at[rows].add(answers)
    answers = _permute(y, plan.slots.reshape(-1), plan.order)
    answers = answers.reshape(*plan.slots.shape, -1)
    return jnp.sum(answers * weights[..., None], axis=1)


@jax.custom_vjp
def _take(x, rows, slots):
    return x[rows]


def _take_forward(x, rows, slots):
    return x[rows], slots


def _take_backward(slots, dy):
    return dy[slots].sum(1), None, None  # every use of a token is at one of its slots


_take.defvjp(_take_forward, _take_backward)


@jax.custom_vjp
def _permute(y, index, inverse):
    return y[index]


def _permute_forward(y, index, inverse):
    return y[index], (inverse, y.shape[0])


def _permute_backward(kept, dy):
    inverse, rows = kept
    return jnp.pad(dy[inverse], ((0, rows - len(inverse)), (0, 0))), None, None


_permute.defvjp(_permute_forward, _permute_backward)
