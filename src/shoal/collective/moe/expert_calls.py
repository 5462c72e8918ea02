"""An expert's answer to a block of rows, and its gradient.

Nothing of an expert is kept between the two: computing it again takes less time on a CPU than
writing it to fresh memory and reading it (measured), and the memory is saved.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax


class ExpertCalls:
    """Calls of one expert, whose weights are passed in: the arrays it learns, and its others."""

    def __init__(self, static: Any):
        self.static = static

    def answer(self, weights, x):
        """The answers to x (rows, features), (rows, outputs)."""
        return jax.vmap(eqx.combine(*weights, self.static))(x)

    def pull(self, weights, x, dy):
        """The gradients of x and of what is learned, where those of the answers are dy."""
        learned, other = weights
        _, pull = jax.vjp(lambda learned, x: self.answer((learned, other), x), learned, x)
        slopes, dx = pull(dy)
        return dx, slopes

    def shape(self, weights, x):
        """Shape and type of the answers of stacked experts to all of x's rows."""
        return jax.eval_shape(lambda w, x: self.answer(at_expert(w, 0), x), weights, x)


def at_expert(stacked, e):
    """The arrays of one expert."""
    return jax.tree.map(lambda a: lax.dynamic_index_in_dim(a, e, 0, keepdims=False), stacked)


def wide_zeros(learned):
    """Where gradients are summed."""
    return jax.tree.map(
        lambda w: jnp.zeros(w.shape, jnp.promote_types(w.dtype, jnp.float32)), learned
    )
