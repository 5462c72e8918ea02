"""The program of one epoch for all members of one structure.

For each member: a scan over the batches, gathered on the device; a pass over the validation
samples; and the best parameters so far, kept where the new ones are better. Without validation
samples the training loss is that of the parameters that the epoch began with, so those are kept.
Around that the strategy: all members side by side, or one active member after the other, on one
device or dealt to several. The program is compiled once per structure, since everything that
changes from epoch to epoch is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, PyTree

from shoal.neurons.frozen import partition, project_constraints
from shoal.population import optimiser
from shoal.population.coupling import Coupling
from shoal.population.objective import Loss, Told, batch_loss, training_loss
from shoal.population.samples import Order, Samples
from shoal.population.strategy import Strategy

_TRAINING_STREAM = 0x7472_6169  # keeps dropout's keys apart from those that made the member


class State(NamedTuple):
    """What an epoch changes; every leaf has the axis members first."""

    params: PyTree
    opt_state: PyTree
    best: PyTree
    best_loss: Array | np.ndarray


class Given(NamedTuple):
    """What belongs to a member and stays; every leaf has the axis members first."""

    rest: PyTree
    seed: Array | np.ndarray
    learning_rate: Array | np.ndarray
    weight_decay: Array | np.ndarray
    row_weights: Array | np.ndarray | None = None  # (members, rows): how much each sample counts
    targets: Array | np.ndarray | None = None  # (members, rows, ...) in place of y
    valid_targets: Array | np.ndarray | None = None  # the same of the validation samples


class Lesson(NamedTuple):
    """What all members share in an epoch."""

    train: Samples
    order: Order
    factors: Array | np.ndarray
    epoch: Array | np.ndarray
    valid: Samples | None
    valid_order: Order | None
    begun: Array | np.ndarray  # whether the parameters that the epoch begins with were trained


class Outcome(NamedTuple):
    """What an epoch tells: losses, and whether they and the parameters are finite.

    Arrays of the device inside the program, of NumPy outside.
    """

    train_loss: Any
    valid_loss: Any
    healthy: Any
    score: Any  # what is to be small: by it the best epoch is chosen
    diversity: Any  # what a coupled regime adds to the members' own losses
    aux_loss: Any  # what their own modules add


class Recipe(NamedTuple):
    """What the program is made of: the members' static part, the loss, the optimiser."""

    static: PyTree  # without arrays
    loss: Loss
    optimizer: optimiser.Direction
    coupling: Coupling | None = None  # what ties the members' losses together


def split_members(members: PyTree) -> tuple[PyTree, PyTree, PyTree]:
    """Trainable arrays, other arrays, and what is no array."""
    params, others = partition(members)
    rest, static = eqx.partition(others, eqx.is_array)
    return params, rest, static


def assemble(params: PyTree, rest: PyTree, static: PyTree) -> PyTree:
    """The members again."""
    return eqx.combine(params, rest, static)


def train_batch(recipe: Recipe, given: Given, params, opt_state, batch, weights, key, factor):
    """One step of one member: new parameters, new optimiser state, and its losses."""

    def objective(params):
        member = assemble(params, given.rest, recipe.static)
        return training_loss(recipe.loss, member, batch, weights, key)

    (_, told), gradients = jax.value_and_grad(objective, has_aux=True)(params)
    params, opt_state = descend(recipe, given, params, opt_state, gradients, factor)
    return params, opt_state, told


def descend(recipe: Recipe, given: Given, params, opt_state, gradients, factor):
    """One member's new parameters, inside their bounds, and optimiser state."""
    rate = given.learning_rate * factor
    params, opt_state = optimiser.step(
        recipe.optimizer, gradients, opt_state, params, rate, given.weight_decay
    )
    constrained = project_constraints(assemble(params, given.rest, recipe.static))
    return partition(constrained)[0], opt_state


def train_pass(recipe: Recipe, given: Given, params, opt_state, lesson: Lesson):
    """One member's scan over the batches of an epoch; its mean losses."""
    epoch_key = epoch_key_of(given.seed, lesson.epoch)

    def body(carry, xs):
        params, opt_state, total, added, weight = carry
        number, rows, weights, factor = xs
        batch, weights = own_batch(given, gather(lesson.train, rows), rows, weights)
        key = jax.random.fold_in(epoch_key, number)
        params, opt_state, told = train_batch(
            recipe, given, params, opt_state, batch, weights, key, factor
        )
        w = told.weight
        sums = total + told.loss * w, added + told.aux_loss * w, weight + w
        return (params, opt_state, *sums), None

    rows, weights = lesson.order
    numbers = jnp.arange(rows.shape[0])
    start = (params, opt_state, jnp.zeros(()), jnp.zeros(()), jnp.zeros(()))
    xs = (numbers, rows, weights, lesson.factors)
    (params, opt_state, total, added, weight), _ = jax.lax.scan(body, start, xs)
    return params, opt_state, Told(total / weight, added / weight, weight)


def epoch_key_of(seed: Any, epoch: Any) -> Array:
    """The key of a member's dropout in an epoch."""
    stream = jax.random.fold_in(jax.random.key(seed), _TRAINING_STREAM)
    return jax.random.fold_in(stream, epoch)


def own_batch(given: Given, batch: Samples, rows: Array, weights: Array) -> tuple[Samples, Array]:
    """A batch with the targets and weights that a member has of its own."""
    if given.row_weights is not None:
        weights = weights * given.row_weights[rows]
    if given.targets is not None:
        batch = batch._replace(y=given.targets[rows])
    return batch, weights


def evaluate(recipe: Recipe, given: Given, params, samples: Samples, order: Order) -> Array:
    """One member's mean loss over samples, without dropout."""
    member = assemble(params, given.rest, recipe.static)

    def body(carry, xs):
        rows, weights = xs
        batch = gather(samples, rows)
        if given.valid_targets is not None:
            batch = batch._replace(y=given.valid_targets[rows])
        loss, w = batch_loss(recipe.loss, member, batch, weights, None)
        return (carry[0] + loss * w, carry[1] + w), None

    (total, weight), _ = jax.lax.scan(body, (jnp.zeros(()), jnp.zeros(())), tuple(order))
    return total / weight


def member_epoch(
    recipe: Recipe, state: State, given: Given, lesson: Lesson, active: Array | bool
) -> tuple[State, Outcome]:
    """One member's epoch; one that is not `active` keeps its parameters and its best."""
    params, opt_state, sums = train_pass(recipe, given, state.params, state.opt_state, lesson)
    loss = sums.loss
    valid_loss = jnp.full((), jnp.nan)
    score, scored = loss, state.params
    if lesson.valid is not None and lesson.valid_order is not None:
        valid_loss = evaluate(recipe, given, params, lesson.valid, lesson.valid_order)
        score, scored = valid_loss, params
    known = jnp.isfinite(score) & jnp.isfinite(loss + sums.aux_loss)
    healthy = known & all_finite(params)
    counts = healthy if scored is params else known & lesson.begun
    better = active & counts & (score < state.best_loss)
    best = where(better, scored, state.best)
    best_loss = jnp.where(better, score, state.best_loss)
    if not isinstance(active, bool):
        params = where(active, params, state.params)
    told = Outcome(loss, valid_loss, healthy, score, jnp.zeros(()), sums.aux_loss)
    return State(params, opt_state, best, best_loss), told


def side_by_side(one: Callable, state: State, given: Given, lesson: Lesson, active: Array):
    """Every member at once."""
    return jax.vmap(one, in_axes=(0, 0, None, 0))(state, given, lesson, active)


def in_turn(one: Callable, state: State, given: Given, lesson: Lesson, active: Array):
    """One active member after the other; the others cost nothing."""
    members = active.shape[0]
    order = jnp.argsort(~active, stable=True)  # active slots first
    unknown = jnp.full(members, jnp.nan)
    outcome = Outcome(unknown, unknown, active & False, unknown, unknown, unknown)

    def body(turn, carry):
        state, outcome = carry
        slot = order[turn]
        new, told = one(_at(state, slot), _at(given, slot), lesson, True)
        return _put(state, new, slot), _put(outcome, told, slot)

    return jax.lax.fori_loop(0, active.sum(), body, (state, outcome))


def epoch_program(recipe: Recipe, strategy: Strategy, mesh: Mesh | None) -> Callable:
    """`program(state, given, lesson, active) -> (state, outcome)`, compiled; state is donated.

    Members made alike, with a loss and an optimiser that have names, share one program for as long
    as the process lives; a user's own functions may mean something else the next time.
    """
    if callable(recipe.loss) or recipe.optimizer.name is None:
        return _program(recipe, strategy, mesh)
    leaves, tree = jax.tree.flatten(recipe.static)
    try:
        return _shared_program(tuple(leaves), tree, recipe[1:], strategy, mesh)
    except TypeError:  # a static part that cannot be hashed
        return _program(recipe, strategy, mesh)


@lru_cache(maxsize=64)
def _shared_program(leaves: tuple, tree, others: tuple, strategy: Strategy, mesh: Mesh | None):
    return _program(Recipe(jax.tree.unflatten(tree, leaves), *others), strategy, mesh)


def _program(recipe: Recipe, strategy: Strategy, mesh: Mesh | None) -> Callable:
    if recipe.coupling is not None:
        from shoal.population.lockstep import lockstep_epoch

        program = partial(lockstep_epoch, recipe, "members" if mesh is not None else None)
    else:
        around = in_turn if strategy == "loop" else side_by_side
        program = partial(around, partial(member_epoch, recipe))
    if mesh is not None:
        own, shared = PartitionSpec("members"), PartitionSpec()
        program = jax.shard_map(
            program,
            mesh=mesh,
            in_specs=(own, own, shared, own),
            out_specs=(own, own),
            check_vma=False,
        )
    return jax.jit(program, donate_argnums=0)


def gather(samples: Samples, rows: Array) -> Samples:
    """The samples of some rows."""

    def take(array: Array) -> Array:
        return array.at[rows].get(mode="promise_in_bounds")

    return jax.tree.map(take, samples)


def all_finite(tree: PyTree) -> Array:
    """Whether every number of one member is finite."""
    whole = [leaf.ravel() for leaf in jax.tree.leaves(tree)]
    return jnp.isfinite(jnp.concatenate(whole)).all()


def where(condition: Array, new: PyTree, old: PyTree) -> PyTree:
    """One member's new arrays or the old ones."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def _at(stack: PyTree, slot: Array) -> PyTree:
    return jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, slot, keepdims=False), stack)


def _put(stack: PyTree, one: PyTree, slot: Array) -> PyTree:
    return jax.tree.map(
        lambda a, v: jax.lax.dynamic_update_index_in_dim(a, v.astype(a.dtype), slot, 0), stack, one
    )
