"""The program of one epoch for members whose losses are tied together.

All members answer a batch, the answers are brought together (over devices too), the coupled loss
is differentiated by them, and each member is led down its own part:

    F_i = f_i(batch),    g_i = ∂J(F_1 … F_n)/∂F_i,    θ_i ← θ_i − η·gᵢ·∂F_i/∂θ_i

Members that stopped or diverged, and slots that are empty, are no part of the crowd. The best
epoch is that of the crowd, so that all members' best parameters belong together.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from shoal.equations.outputs import Normal
from shoal.population.coupling import crowd_loss
from shoal.population.objective import Told, check_prediction, prediction_loss, target_weights
from shoal.population.own_losses import answer_with_losses
from shoal.population.samples import Order, Samples
from shoal.population.train import (
    Given,
    Lesson,
    Outcome,
    Recipe,
    State,
    all_finite,
    assemble,
    descend,
    epoch_key_of,
    gather,
    where,
)


def lockstep_epoch(
    recipe: Recipe, axis: str | None, state: State, given: Given, lesson: Lesson, active: Array
) -> tuple[State, Outcome]:
    """One epoch of all members; every argument but the lesson has the axis members first."""
    params, opt_state, told, diversity = _train(recipe, axis, state, given, lesson, active)
    loss, own, score = told.loss, jnp.full(active.shape, jnp.nan), None
    scored = state.params
    if lesson.valid is not None and lesson.valid_order is not None:
        scored = params
        own, score = _evaluate(
            recipe, axis, params, given, lesson.valid, lesson.valid_order, active
        )
    score = _crowd_mean(axis, loss, active) if score is None else score
    known = jnp.isfinite(loss + told.aux_loss) & jnp.isfinite(score)
    healthy = known & jax.vmap(all_finite)(params)
    counts = healthy if scored is params else known & lesson.begun
    better = active & counts & (score < state.best_loss)
    best = jax.vmap(where)(better, scored, state.best)
    best_loss = jnp.where(better, score, state.best_loss)
    params = jax.vmap(where)(active, params, state.params)
    every = jnp.broadcast_to(score, active.shape), jnp.broadcast_to(diversity, active.shape)
    outcome = Outcome(loss, own, healthy, *every, told.aux_loss)
    return State(params, opt_state, best, best_loss), outcome


def _train(recipe: Recipe, axis, state: State, given: Given, lesson: Lesson, active: Array):
    """The scan over batches; members' own mean losses, and what the coupling added to them.

    What their modules add is led down together with what the coupling asks of their answers.
    """
    epoch_keys = jax.vmap(epoch_key_of, (0, None))(given.seed, lesson.epoch)

    def body(carry, xs):
        params, opt_state, total, aux, added, weight = carry
        number, rows, weights, factor = xs
        batch = gather(lesson.train, rows)
        keys = jax.vmap(jax.random.fold_in, (0, None))(epoch_keys, number)
        (outputs, wishes), pull = jax.vjp(partial(_asked, recipe, given, batch, keys), params)
        own, w = jax.vmap(partial(prediction_loss, recipe.loss), (0, None, None))(
            outputs, batch, weights
        )
        coupled, cotangents = _coupled(recipe, axis, outputs, batch, weights, active)
        (gradients,) = pull((cotangents, jnp.ones_like(wishes)))
        step = jax.vmap(partial(descend, recipe), (0, 0, 0, 0, None))
        params, opt_state = step(given, params, opt_state, gradients, factor)
        extra = coupled - _crowd_sum(axis, own, active)
        sums = total + own * w, aux + wishes * w, added + extra * w[0], weight + w[0]
        return (params, opt_state, *sums), None

    zeros = jnp.zeros(active.shape)
    start = (state.params, state.opt_state, zeros, zeros, jnp.zeros(()), jnp.zeros(()))
    rows, weights = lesson.order
    xs = (jnp.arange(rows.shape[0]), rows, weights, lesson.factors)
    (params, opt_state, total, aux, added, weight), _ = jax.lax.scan(body, start, xs)
    told = Told(total / weight, aux / weight, weight)
    return params, opt_state, told, added / weight / _count(axis, active)


def _asked(recipe: Recipe, given: Given, batch: Samples, keys, params: PyTree):
    """Every member's answer to a batch, and what its own modules add to its loss."""

    def one(params, rest, key):
        member = assemble(params, rest, recipe.static)
        return answer_with_losses(member, batch.x, batch.timespans, mask=batch.mask, key=key)

    answers, wishes = jax.vmap(one)(params, given.rest, keys)
    check_prediction(jax.tree.map(lambda a: a[0], answers), batch.y)
    return answers, wishes


def _coupled(recipe: Recipe, axis, outputs: PyTree, batch: Samples, weights, active):
    """The coupled loss of the whole crowd, and its gradient by the answers of these members."""
    fine = active & jax.vmap(all_finite)(outputs)
    everyone, shares = _together(axis, _silenced(outputs, fine), fine)
    weights = target_weights(batch, weights)

    def objective(everyone):
        assert recipe.coupling is not None
        stop = jax.lax.stop_gradient
        return recipe.coupling(jnp, stop, recipe.loss, everyone, shares, batch.y, weights)

    loss, gradients = jax.value_and_grad(objective)(everyone)
    own = gradients
    if axis is not None:
        start = jax.lax.axis_index(axis) * fine.shape[0]
        own = jax.tree.map(
            lambda g: jax.lax.dynamic_slice_in_dim(g, start, fine.shape[0]), gradients
        )
    return loss, jax.vmap(lambda ok, g: jax.tree.map(lambda a: jnp.where(ok, a, 0.0), g))(fine, own)


def _evaluate(
    recipe: Recipe, axis, params: PyTree, given: Given, samples: Samples, order: Order, active
) -> tuple[Array, Array]:
    """Members' own mean losses, and the crowd's."""

    def body(carry, xs):
        own, crowd, weight = carry
        rows, weights = xs
        batch = gather(samples, rows)
        outputs, _ = _asked(recipe, given, batch, None, params)
        losses, w = jax.vmap(partial(prediction_loss, recipe.loss), (0, None, None))(
            outputs, batch, weights
        )
        fine = active & jax.vmap(all_finite)(outputs)
        everyone, shares = _together(axis, _silenced(outputs, fine), fine)
        targets = target_weights(batch, weights)
        told = crowd_loss(jnp, recipe.loss, everyone, shares, batch.y, targets)
        return (own + losses * w, crowd + told * w[0], weight + w[0]), None

    start = jnp.zeros(active.shape), jnp.zeros(()), jnp.zeros(())
    (own, crowd, weight), _ = jax.lax.scan(body, start, tuple(order))
    return own / weight, crowd / weight


def _silenced(outputs: PyTree, fine: Array) -> PyTree:
    """Answers with harmless numbers in place of those that do not count."""

    def quiet(part: Array, value: float) -> Array:
        return jnp.where(fine.reshape(-1, *[1] * (part.ndim - 1)), part, value)

    if isinstance(outputs, Normal):
        return Normal(quiet(outputs.mean, 0.0), quiet(outputs.std, 1.0))
    return jax.tree.map(lambda part: quiet(part, 0.0), outputs)


def _together(axis: str | None, outputs: PyTree, fine: Array) -> tuple[PyTree, Array]:
    """All members' answers, those on other devices too, and their shares in the crowd."""
    counted: Any = fine.astype(jnp.float32)
    if axis is not None:
        outputs = jax.tree.map(lambda a: jax.lax.all_gather(a, axis, tiled=True), outputs)
        counted = jax.lax.all_gather(counted, axis, tiled=True)
    return outputs, counted / jnp.maximum(counted.sum(), 1.0)


def _crowd_sum(axis: str | None, values: Array, active: Array) -> Array:
    total = jnp.where(active & jnp.isfinite(values), values, 0.0).sum()
    return total if axis is None else jax.lax.psum(total, axis)


def _count(axis: str | None, active: Array) -> Array:
    count = active.sum().astype(jnp.float32)
    return jnp.maximum(count if axis is None else jax.lax.psum(count, axis), 1.0)


def _crowd_mean(axis: str | None, values: Array, active: Array) -> Array:
    return _crowd_sum(axis, values, active) / _count(axis, active)
