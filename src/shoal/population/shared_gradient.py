"""The gradient of members that share matrices, all of them down one mean loss.

    ∂/∂W Σ_i L_i = Σ_i (∂L_i/∂M_i ∘ r_i s_iᵀ),    M_i = W ∘ r_i s_iᵀ

Where a batch is divided, member i answers its own rows of it alone; side by side that is one
member's work on the whole batch. Where every member answers every row, sequences on a CPU are
taken member by member, and the gradient of W is added up.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from shoal.population import optimiser
from shoal.population.coupling import Coupling
from shoal.population.objective import (
    Loss,
    Told,
    prediction_loss,
    target_weights,
    training_loss,
)
from shoal.population.own_losses import answer_with_losses
from shoal.population.samples import Samples
from shoal.population.shared import Fast, assembled, worked_out
from shoal.population.shared_layout import Layout
from shoal.population.sharing import Sharing
from shoal.population.train import Given


class Params(NamedTuple):
    """What is trained: W once; everything else, r and s with the axis members first."""

    common: PyTree
    own: PyTree
    fast: Fast


class SharedRecipe(NamedTuple):
    """What the program is made of."""

    static: PyTree  # a member's part without arrays
    layout: Layout
    sharing: Sharing
    loss: Loss
    optimizer: optimiser.Direction
    coupling: Coupling | None
    in_turn: bool  # whether whole batches are answered member by member


def lead(recipe: SharedRecipe, given: Given, params: Params, batch: Samples, weights, keys):
    """What all members are told, what their coupling adds, and the gradient.

    Args:
        batch: of all members, or where it is divided with the axis members first.
        weights: (members, rows).
        keys: (members,), of dropout.
    """
    one_by_one = recipe.in_turn and recipe.sharing.rows == "all"
    one_by_one = one_by_one and recipe.coupling is None
    way = _lead_in_turn if one_by_one else _lead
    return way(recipe, given, params, batch, weights, keys)


def _lead(recipe: SharedRecipe, given: Given, params: Params, batch, weights, keys):
    """Side by side."""
    axis = 0 if recipe.sharing.rows == "divided" else None

    def objective(params: Params):
        outputs, aux = _answers(recipe, given, params, batch, keys, axis)
        told = _told(recipe, outputs, aux, batch, weights, axis)
        value = mean(told.loss + told.aux_loss, told.weight)
        if recipe.coupling is None:
            return value, (told, jnp.zeros(()))
        members = weights.shape[0]
        targets = target_weights(batch, weights[0])
        shares = jnp.full(members, 1 / members)
        stop = jax.lax.stop_gradient
        coupled = (
            recipe.coupling(jnp, stop, recipe.loss, outputs, shares, batch.y, targets) / members
        )
        return coupled + told.aux_loss.mean(), (told, coupled - told.loss.mean())

    (_, (told, diversity)), gradients = jax.value_and_grad(objective, has_aux=True)(params)
    return told, diversity, gradients


def _lead_in_turn(recipe: SharedRecipe, given: Given, params: Params, batch, weights, keys):
    """One by one, where every member sees the whole batch and nothing ties them."""

    def body(total: PyTree, xs: tuple):
        own, fast, rest, weights, key = xs

        def objective(part: Params):
            member = worked_out(member_of(recipe, part.common, part.own, rest, part.fast))
            value, told = training_loss(recipe.loss, member, batch, weights, key)
            return value * told.weight, told

        part = Params(params.common, own, fast)
        (_, told), found = jax.value_and_grad(objective, has_aux=True)(part)
        return jax.tree.map(jnp.add, total, found.common), (told, found.own, found.fast)

    xs = (params.own, params.fast, given.rest, weights, keys)
    zeros = jax.tree.map(jnp.zeros_like, params.common)
    common, (told, own, fast) = jax.lax.scan(body, zeros, xs)
    scale = 1 / told.weight.sum()
    gradients = jax.tree.map(lambda g: (g * scale).astype(g.dtype), Params(common, own, fast))
    return told, jnp.zeros(()), gradients


def _answers(recipe: SharedRecipe, given: Given, params: Params, batch: Samples, keys, axis):
    """Members' answers, and what their own modules add to their losses."""

    def one(own, fast, rest, batch, key):
        member = member_of(recipe, params.common, own, rest, fast)
        return answer_with_losses(member, batch.x, batch.timespans, mask=batch.mask, key=key)

    stacked = (params.own, params.fast, given.rest)
    return jax.vmap(one, (0, 0, 0, axis, 0))(*stacked, batch, keys)


def _told(recipe: SharedRecipe, outputs, aux, batch: Samples, weights: Array, axis) -> Told:
    """Members' losses; one whose hand is nothing but filler counts for nothing."""
    counts = weights.sum(axis=1) > 0
    safe = jnp.where(counts[:, None], weights, 1.0)
    losses, w = jax.vmap(partial(prediction_loss, recipe.loss), (0, axis, 0))(outputs, batch, safe)
    return Told(losses, aux, w * counts)


def member_of(recipe: SharedRecipe, common, own, rest, fast: Fast) -> PyTree:
    """One member, its matrices not worked out."""
    return assembled(recipe.layout, common, eqx.combine(own, rest, recipe.static), fast)


def mean(values: Array, weights: Array) -> Array:
    """Σ w·values / Σ w."""
    total = weights.sum()
    return (values * weights).sum() / jnp.where(total > 0, total, 1.0)
