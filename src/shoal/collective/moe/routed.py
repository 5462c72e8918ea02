"""What a router decides, in one form for all of them.

T tokens, E experts, k experts per token; expert choice: c tokens per expert
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped


class Routed(eqx.Module):
    """Who handles what.

    Attributes:
        experts: (T, k) the experts of each token, or (E, c) each expert's own number; E means
            nobody: padding, what was dropped, an empty place.
        weights: in the shape of `experts`, how much each answer counts; 0 for nobody's.
        tokens: (E, c) the tokens of each expert, where experts choose; else None.
        logits: (T, E) before any noise.
        probabilities: (T, E) over all experts, before any noise; they sum to 1.
        load: (E,) a smooth estimate of how many tokens each expert gets, or None.
    """

    experts: Int[Array, "rows chosen"]
    weights: Float[Array, "rows chosen"]
    tokens: Int[Array, "experts chosen"] | None
    logits: Float[Array, "tokens experts"]
    probabilities: Float[Array, "tokens experts"]
    load: Float[Array, " experts"] | None = None

    @property
    def n_experts(self) -> int:
        return self.logits.shape[-1]

    def counts(self) -> Int[Array, " experts"]:
        """Assignments of each expert."""
        return jnp.bincount(self.experts.reshape(-1), length=self.n_experts + 1)[:-1]

    def gates(self) -> Float[Array, "tokens experts"]:
        """The weight of every expert for every token, mostly zeros."""
        if self.tokens is None:
            return self._per_token(self.weights)
        gates = jnp.zeros_like(self.probabilities)
        return gates.at[self.tokens, self._columns()].add(self.weights, mode="drop")

    def chosen(self) -> Shaped[Array, "tokens experts"]:
        """1 where a token has an expert, else 0."""
        if self.tokens is None:
            return self._per_token(jnp.ones_like(self.weights))
        chosen = jnp.zeros_like(self.probabilities)
        return chosen.at[self.tokens, self._columns()].set(1.0, mode="drop")

    def only(self, kept: Array) -> Routed:
        """Without the assignments where `kept` is False."""
        experts = jnp.where(kept, self.experts, self.n_experts)
        weights = jnp.where(kept, self.weights, 0.0)
        return eqx.tree_at(lambda r: (r.experts, r.weights), self, (experts, weights))

    def _per_token(self, values):
        hot = jax.nn.one_hot(self.experts, self.n_experts, dtype=values.dtype)
        return jnp.sum(hot * values[..., None], axis=1)

    def _columns(self):
        return self.experts  # E, out of range, is dropped
