"""The program of one epoch for members that share matrices.

All members go down one gradient, that of their mean loss (see `shared_gradient.py`), at one rate,
but for r and s, which have one of their own and do not decay. The best epoch is the crowd's, since
the matrices are everybody's. Several devices divide a batch, its hands or its rows, where their
number allows; parameters lie on all of them.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from shoal.population.coupling import crowd_loss
from shoal.population.objective import Told, prediction_loss, target_weights
from shoal.population.samples import Samples
from shoal.population.shared import worked_out
from shoal.population.shared_gradient import Params, SharedRecipe, lead, mean, member_of
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


def shared_epoch(
    recipe: SharedRecipe,
    mesh: Mesh | None,
    state: State,
    given: Given,
    lesson: Lesson,
    active: Array,
) -> tuple[State, Outcome]:
    """One epoch of all members, who stop together or not at all."""
    params, opt_state, told, diversity = _train(recipe, mesh, given, state, lesson)
    loss = mean(told.loss, told.weight)
    own, score, scored = jnp.full(active.shape, jnp.nan), loss, state.params
    if lesson.valid is not None and lesson.valid_order is not None:
        scored = params
        own, score = _evaluate(recipe, mesh, given, params, lesson)
    known = jnp.isfinite(score) & jnp.isfinite(loss + told.aux_loss.sum())
    healthy = known & all_finite(params)
    counts = healthy if scored is params else known & lesson.begun
    better = active.any() & counts & (score < state.best_loss)
    best = where(better, scored, state.best)
    best_loss = jnp.where(better, score, state.best_loss)
    healthy, score, extra = (jnp.broadcast_to(a, active.shape) for a in (healthy, score, diversity))
    outcome = Outcome(told.loss, own, healthy, score, extra, told.aux_loss)
    return State(params, opt_state, best, best_loss), outcome


def shared_program(recipe: SharedRecipe, mesh: Mesh | None) -> Any:
    """`program(state, given, lesson, active) -> (state, outcome)`, compiled; state is donated.

    Shared by members made alike, with a loss and an optimiser that have names.
    """
    if callable(recipe.loss) or recipe.optimizer.name is None:
        return _program(recipe, mesh)
    leaves, tree = jax.tree.flatten(recipe.static)
    try:
        return _known_program(tuple(leaves), tree, recipe[1:], mesh)
    except TypeError:  # a static part that cannot be hashed
        return _program(recipe, mesh)


@lru_cache(maxsize=64)
def _known_program(leaves: tuple, tree: Any, others: tuple, mesh: Mesh | None) -> Any:
    return _program(SharedRecipe(jax.tree.unflatten(tree, leaves), *others), mesh)


def _program(recipe: SharedRecipe, mesh: Mesh | None) -> Any:
    everywhere = None if mesh is None else NamedSharding(mesh, PartitionSpec())
    program = partial(shared_epoch, recipe, mesh)
    return jax.jit(program, donate_argnums=0, out_shardings=everywhere)


def _spread(mesh: Mesh | None, batch: Samples) -> Samples:
    """A batch whose leading axis is divided among the devices, where it can be."""
    if mesh is None or batch.x.shape[0] % mesh.size:
        return batch
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec("members")))


def _train(recipe: SharedRecipe, mesh: Mesh | None, given: Given, state: State, lesson: Lesson):
    """The scan over batches; members' mean losses, and what the coupling added to them."""
    epoch_keys = jax.vmap(epoch_key_of, (0, None))(given.seed, lesson.epoch)
    members = given.seed.shape[0]

    def body(carry, xs):
        params, opt_state, sums = carry
        number, rows, weights, factor = xs
        keys = jax.vmap(jax.random.fold_in, (0, None))(epoch_keys, number)
        rows, weights = dealt(rows, weights, members, recipe.sharing.rows)
        batch, weights = (
            _spread(mesh, gather(lesson.train, rows)),
            _own_weights(given, rows, weights),
        )
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
    if len(rows) < members:
        raise ValueError(
            f"a batch of {len(rows)} rows cannot be divided among {members} members; raise "
            '`batch_size`, or share with rows="all"'
        )
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


def _evaluate(
    recipe: SharedRecipe, mesh: Mesh | None, given: Given, params: Params, lesson: Lesson
):
    """Members' mean losses over the validation samples, and the crowd's to be made small."""

    def body(sums, xs):
        rows, weights = xs
        batch = _spread(mesh, gather(lesson.valid, rows))  # pyright: ignore

        def one(own, fast, rest):
            member = member_of(recipe, params.common, own, rest, fast)
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
