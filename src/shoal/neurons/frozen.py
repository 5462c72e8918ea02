"""What is not trained: frozen leaves, dropout with a rate that is data, constraints.

A population trains members whose dropout rates and scalers differ in one program, so these are
arrays, and arrays that no gradient touches.
"""

from __future__ import annotations

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

Model = TypeVar("Model", bound=PyTree)


class Frozen(eqx.Module):
    """An array leaf that is saved and stacked like any other, but never trained."""

    value: Array

    def __init__(self, value):
        self.value = jnp.asarray(value)


def _is_frozen(node) -> bool:
    return isinstance(node, Frozen)


def partition(model: Model) -> tuple[Model, Model]:
    """The trainable arrays of a model, and everything else; `eqx.combine` undoes it."""
    spec = jax.tree.map(
        lambda node: False if _is_frozen(node) else eqx.is_inexact_array(node),
        model,
        is_leaf=_is_frozen,
    )
    return eqx.partition(model, spec)


class Dropout(eqx.Module):
    """Inverted dropout: entries are zero with probability `rate`, the others grow by 1/(1 − rate).

    Source: Srivastava et al. 2014. Without a key nothing is dropped.
    """

    rate: Frozen

    def __init__(self, rate: float = 0.0):
        self.rate = Frozen(jnp.asarray(rate, jnp.float32))

    def __call__(self, x: Float[Array, " *shape"], key: PRNGKeyArray | None) -> Array:
        if key is None:
            return x
        keep = 1.0 - self.rate.value
        kept = jax.random.bernoulli(key, keep, x.shape)
        return jnp.where(kept, x / keep.astype(x.dtype), jnp.zeros((), x.dtype))


class FeatureMask(Frozen):
    """Which of its features a member sees: 1 or 0 for each, those it does not see are read as 0.

    Args:
        value: (features,).

    >>> FeatureMask(jnp.array([1, 0]))(jnp.ones((3, 2))).sum(0).tolist()
    [3.0, 0.0]
    """

    def __call__(self, x: Float[Array, "*batch features"]) -> Array:
        return x * self.value.astype(x.dtype)


def set_dropout(model: Model, rate: Array | float) -> Model:
    """The model with every dropout's rate replaced; a stacked rate for stacked members."""

    def replace(node):
        if not isinstance(node, Dropout):
            return node
        new = jnp.broadcast_to(jnp.asarray(rate, jnp.float32), node.rate.value.shape)
        return eqx.tree_at(lambda d: d.rate.value, node, new)

    return jax.tree.map(replace, model, is_leaf=lambda node: isinstance(node, Dropout))


def project_constraints(model: Model) -> Model:
    """The model with the parameters of every part that has `constrained()` inside their bounds."""

    def is_bounded(node) -> bool:
        return isinstance(node, eqx.Module) and hasattr(node, "constrained")

    return jax.tree.map(
        lambda node: node.constrained() if is_bounded(node) else node, model, is_leaf=is_bounded
    )
