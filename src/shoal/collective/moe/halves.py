"""An expert in two halves, so that what lies between them can be kept for the backward pass.

    kept = first(x);   y = second(x, kept)

A gated network keeps the products of its first matrices; an arbitrary module keeps nothing and is
computed again. Nothing else about an expert is known to the loops that run it.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from shoal.collective.moe.experts import AbstractExpert


class Halves:
    """Calls of one expert on a block of rows; its arrays are passed in, the rest is held."""

    def __init__(self, static: Any):
        self.static = static

    def first(self, learned, other, x):
        """What is kept of a block (rows, features)."""
        expert = eqx.combine(learned, other, self.static)
        return expert.before(x) if isinstance(expert, AbstractExpert) else ()

    def second(self, learned, other, x, kept):
        """The answers, (rows, outputs)."""
        expert = eqx.combine(learned, other, self.static)
        return expert.after(kept) if isinstance(expert, AbstractExpert) else jax.vmap(expert)(x)

    def pull(self, learned, other, x, kept, dy):
        """The gradients of x and of the weights, where those of the answers are dy."""
        _, pull = jax.vjp(lambda w, x, kept: self.second(w, other, x, kept), learned, x, kept)
        late, dx, dkept = pull(dy)
        _, pull = jax.vjp(lambda w, x: self.first(w, other, x), learned, x)
        early, more = pull(dkept)
        return dx + more, jax.tree.map(jnp.add, early, late)


def at_expert(stacked, e):
    """The arrays of one expert."""
    return jax.tree.map(lambda a: lax.dynamic_index_in_dim(a, e, 0, keepdims=False), stacked)


def shapes_of(halves: Halves, learned, other, x):
    """Shapes and types of what is kept, and of the answers, for all of x's rows."""

    def both(learned, other, x):
        weights = at_expert(learned, 0), at_expert(other, 0)
        kept = halves.first(*weights, x)
        return kept, halves.second(*weights, x, kept)

    return jax.eval_shape(both, learned, other, x)
