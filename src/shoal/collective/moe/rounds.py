"""Grouped experts on accelerators: all experts at once, in as many rounds as the fullest needs.

A round takes up to C rows of every expert, in one batched matrix product per weight. C leaves the
experts a quarter of room above the mean, so that one round is enough while they are balanced, and
nothing is dropped when they are not.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from shoal.collective.moe.expert_calls import ExpertCalls, wide_zeros

ROOM = 1.25
"""Rows of an expert per round, in multiples of the mean."""


def forward(calls: ExpertCalls, learned, other, x, counts, sizes):
    """As `blocks.forward`."""
    per_round = _rows_per_round(len(x) - sizes[-1], len(counts))

    def body(state):
        turn, y = state
        at = _places(turn, counts, per_round, len(x))
        new = jax.vmap(calls.answer)((learned, other), _read(x, at))
        return turn + 1, _write(y, new, at)

    shape = calls.shape((learned, other), x)
    start = 0, jnp.zeros(shape.shape, shape.dtype)
    return lax.while_loop(_more(counts, per_round), body, start)[1]


def backward(calls: ExpertCalls, learned, other, x, counts, dy, sizes):
    """As `blocks.backward`."""
    per_round = _rows_per_round(len(x) - sizes[-1], len(counts))

    def body(state):
        turn, dx, total = state
        at = _places(turn, counts, per_round, len(x))
        dx_rows, more = jax.vmap(calls.pull)((learned, other), _read(x, at), _read(dy, at))
        total = jax.tree.map(lambda a, b: a + b.astype(a.dtype), total, more)
        return turn + 1, _write(dx, dx_rows, at), total

    start = 0, jnp.zeros_like(x), wide_zeros(learned)
    return lax.while_loop(_more(counts, per_round), body, start)[1:]


def _rows_per_round(rows: int, n_experts: int) -> int:
    return -(-int(ROOM * rows) // n_experts // 16) * 16 + 16


def _more(counts, per_round: int):
    return lambda state: state[0] * per_round < counts.max()


def _places(turn, counts, per_round: int, nowhere: int):
    """(experts, rows) where this round's rows stand; `nowhere` for those an expert lacks."""
    nth = turn * per_round + jnp.arange(per_round)
    starts = jnp.cumsum(counts) - counts
    return jnp.where(nth < counts[:, None], starts[:, None] + nth, nowhere)


def _read(a, at):
    return a.at[at].get(mode="fill", fill_value=0)


def _write(a, rows, at):
    return a.at[at].set(rows.astype(a.dtype), mode="drop")
