"""The program of one epoch for members that share matrices.

All members go down one gradient, that of their mean loss:

    ∂/∂W Σ_i L_i = Σ_i (∂L_i/∂M_i ∘ r_i s_iᵀ),    M_i = W ∘ r_i s_iᵀ

Where a batch is divided, member i answers its own rows of it alone; side by side that is one
member's work on the whole batch. Where every member answers every row, sequences on a CPU are
taken member by member, and the gradient of W is added up. The best epoch is the crowd's, since W
is everybody's.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from shoal.population import optimiser
from shoal.population.coupling import Coupling, crowd_loss
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
from shoal.population.strategy import map_members
from shoal.population.train import (
    Given,
    Lesson,
    Outcome,
    State,
    all_finite,
    epoch_key_of,
    gather,
    where,
)


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


def shared_epoch(
    recipe: SharedRecipe, state: State, given: Given, lesson: Lesson, active: Array
) -> tuple[State, Outcome]:
    """One epoch of all members, who stop together or not at all."""
    params, opt_state, told, diversity = _train(recipe, given, state, lesson)
    loss = _mean(told.loss, told.weight)
    own, score = jnp.full(active.shape, jnp.nan), loss
    if lesson.valid is not None and lesson.valid_order is not None:
        own, score = _evaluate(recipe, given, params, lesson)
    healthy = jnp.isfinite(score) & jnp.isfinite(loss) & all_finite(params)
    better = active.any() & healthy & (score < state.best_loss)
    best = where(better, params, state.best)
    best_loss = jnp.where(better, score, state.best_loss)
    healthy, score, extra = (jnp.broadcast_to(a, active.shape) for a in (healthy, score, diversity))
    outcome = Outcome(told.loss, own, healthy, score, extra, told.aux_loss)
    return State(params, opt_state, best, best_loss), outcome


def shared_program(recipe: SharedRecipe) -> Any:
    """`program(state, given, lesson, active) -> (state, outcome)`, compiled; state is donated.

    Shared by members made alike, with a loss and an optimiser that have names.
    """
    if callable(recipe.loss) or recipe.optimizer.name is None:
        return _program(recipe)
    leaves, tree = jax.tree.flatten(recipe.static)
    try:
        return _known_program(tuple(leaves), tree, recipe[1:])
    except TypeError:  # a static part that cannot be hashed
        return _program(recipe)


@lru_cache(maxsize=64)
def _known_program(leaves: tuple, tree: Any, others: tuple) -> Any:
    return _program(SharedRecipe(jax.tree.unflatten(tree, leaves), *others))


def _program(recipe: SharedRecipe) -> Any:
    return jax.jit(partial(shared_epoch, recipe), donate_argnums=0)


def _train(recipe: SharedRecipe, given: Given, state: State, lesson: Lesson):
    """The scan over batches; members' mean losses, and what the coupling added to them."""
    epoch_keys = jax.vmap(epoch_key_of, (0, None))(given.seed, lesson.epoch)
    members = given.seed.shape[0]

    def body(carry, xs):
        params, opt_state, sums = carry
        number, rows, weights, factor = xs
        keys = jax.vmap(jax.random.fold_in, (0, None))(epoch_keys, number)
        rows, weights = dealt(rows, weights, members, recipe.sharing.rows)
        batch, weights = gather(lesson.train, rows), _own_weights(given, rows, weights)
        lead = _lead_in_turn if recipe.in_turn and rows.ndim == 1 else _lead
        told, diversity, gradients = lead(recipe, given, params, batch, weights, keys)
        params, opt_state = _descend(recipe, given, params, opt_state, gradients, factor)
        w = told.weight
        new = told.loss * w, told.aux_loss * w, w, diversity * w.sum()
        return (params, opt_state, jax.tree.map(jnp.add, sums, new)), None

    zeros = jnp.zeros(members)
    start = (state.params, state.opt_state, (zeros, zeros, zeros, jnp.zeros(())))
    rows, weights = lesson.order
    xs = (jnp.arange(rows.shape[0]), rows, weights, lesson.factors)
    (params, opt_state, sums), _ = jax.lax.scan(body, start, xs)
    loss, aux, weight, diversity = sums
    return params, opt_state, Told(loss / weight, aux / weight, weight), diversity / weight.sum()


def dealt(rows: Array, weights: Array, members: int, how: str) -> tuple[Array, Array]:
    """The rows of a batch that members see: all of them, (batch,), or dealt like cards, (members,
    share), where a hand that is short is filled up with weight 0.

    >>> dealt(jnp.arange(5), jnp.ones(5), 2, "divided")[0].tolist()
    [[0, 2, 4], [1, 3, 0]]
    """
    if how == "all":
        return rows, jnp.broadcast_to(weights, (members, *weights.shape))
    missing = -len(rows) % members
    hands = [jnp.pad(a, (0, missing)).reshape(-1, members).T for a in (rows, weights)]
    return hands[0], hands[1]


def _own_weights(given: Given, rows: Array, weights: Array) -> Array:
    """(members, rows), with the weights that a regime gives the samples."""
    if given.row_weights is None:
        return weights
    own = jnp.asarray(given.row_weights)
    hands = rows.ndim == 2
    return weights * (jax.vmap(lambda a, r: a[r])(own, rows) if hands else own[:, rows])


def _lead(recipe: SharedRecipe, given: Given, params: Params, batch, weights, keys):
    """What all members are told, what their coupling adds, and the gradient, side by side."""
    axis = 0 if recipe.sharing.rows == "divided" else None

    def objective(params: Params):
        outputs, aux = _answers(recipe, given, params, batch, keys, axis)
        told = _told(recipe, outputs, aux, batch, weights, axis)
        value = _mean(told.loss + told.aux_loss, told.weight)
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
    """The same where every member sees the whole batch and nothing ties them, one by one."""

    def body(total: PyTree, xs: tuple):
        own, fast, rest, weights, key = xs

        def objective(part: Params):
            member = worked_out(_member(recipe, part.common, part.own, rest, part.fast))
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
        member = _member(recipe, params.common, own, rest, fast)
        return answer_with_losses(member, batch.x, batch.timespans, mask=batch.mask, key=key)

    stacked = (params.own, params.fast, given.rest)
    return jax.vmap(one, (0, 0, 0, axis, 0))(*stacked, batch, keys)


def _told(recipe: SharedRecipe, outputs, aux, batch: Samples, weights: Array, axis) -> Told:
    """Members' losses; one whose hand is nothing but filler counts for nothing."""
    counts = weights.sum(axis=1) > 0
    safe = jnp.where(counts[:, None], weights, 1.0)
    losses, w = jax.vmap(partial(prediction_loss, recipe.loss), (0, axis, 0))(outputs, batch, safe)
    return Told(losses, aux, w * counts)


def _member(recipe: SharedRecipe, common, own, rest, fast: Fast) -> PyTree:
    return assembled(recipe.layout, common, eqx.combine(own, rest, recipe.static), fast)


def _mean(values: Array, weights: Array) -> Array:
    total = weights.sum()
    return (values * weights).sum() / jnp.where(total > 0, total, 1.0)


def _descend(recipe: SharedRecipe, given: Given, params: Params, opt_state, gradients, factor):
    """Parameters and optimiser state after a step: r and s at a rate of their own, undecayed."""
    directions: Any
    directions, opt_state = recipe.optimizer.transform.update(gradients, opt_state, params)
    rate = given.learning_rate * factor

    def moved(part: PyTree, direction: PyTree, rate: Any, decay: Any) -> PyTree:
        return jax.tree.map(
            lambda p, d: (p - rate * (d + decay * p)).astype(p.dtype), part, direction
        )

    fast_rate = rate * recipe.sharing.fast_rate
    new = Params(
        moved(params.common, directions.common, rate, given.weight_decay),
        moved(params.own, directions.own, rate, given.weight_decay),
        moved(params.fast, directions.fast, fast_rate, 0.0),
    )
    return new, opt_state


def _evaluate(recipe: SharedRecipe, given: Given, params: Params, lesson: Lesson):
    """Members' mean losses over the validation samples, and the crowd's to be made small."""

    def body(sums, xs):
        rows, weights = xs
        batch = gather(lesson.valid, rows)  # pyright: ignore

        def one(own, fast, rest):
            member = _member(recipe, params.common, own, rest, fast)
            member = worked_out(member) if recipe.in_turn else member
            return member(batch.x, batch.timespans, mask=batch.mask, key=None)

        stacked = (params.own, params.fast, given.rest)
        outputs = map_members(one, stacked, loop=recipe.in_turn)
        losses, w = jax.vmap(partial(prediction_loss, recipe.loss), (0, None, None))(
            outputs, batch, weights
        )
        crowd = losses.mean()
        if recipe.coupling is not None:
            shares = jnp.full(len(losses), 1 / len(losses))
            targets = target_weights(batch, weights)
            crowd = crowd_loss(jnp, recipe.loss, outputs, shares, batch.y, targets)
        return jax.tree.map(jnp.add, sums, (losses * w, crowd * w[0], w[0])), None

    start = jnp.zeros(given.seed.shape[0]), jnp.zeros(()), jnp.zeros(())
    (own, crowd, weight), _ = jax.lax.scan(body, start, tuple(lesson.valid_order))  # pyright: ignore
    return own / weight, crowd / weight
