"""The members of one structure while they train: where they live, and their epoch.

The host knows members by their place in the group; the device holds them in slots (see
`strategy.py`). Members leave their slots only when those are dealt anew, through host memory, so
that moving them compiles nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from shoal.population import optimiser
from shoal.population.members import Group, Population
from shoal.population.objective import Loss
from shoal.population.regimes.plan import Changes, Plan
from shoal.population.strategy import (
    EMPTY,
    Strategy,
    first_slots,
    is_active,
    least_slots,
    next_slots,
)
from shoal.population.train import (
    Given,
    Lesson,
    Outcome,
    Recipe,
    State,
    assemble,
    epoch_program,
    split_members,
)


def device_mesh() -> Mesh | None:
    """All devices along the axis `members`; None where there is only one."""
    if jax.device_count() == 1:
        return None
    return jax.make_mesh((jax.device_count(),), ("members",), axis_types=(AxisType.Auto,))


@dataclass
class TrainingGroup:
    """One group's arrays on the host (`kept`, `given`: every member) and on the device."""

    group: Group
    recipe: Recipe
    strategy: Strategy
    mesh: Mesh | None
    program: Any
    given: Given
    kept: State
    slots: np.ndarray
    live: State | None = None
    live_given: Given | None = None

    @classmethod
    def start(
        cls,
        group: Group,
        settings: dict[str, np.ndarray],
        loss: Loss,
        optimizer: optimiser.Direction,
        strategy: Strategy,
        mesh: Mesh | None,
        plan: Plan = Plan(),  # noqa: B008 (frozen)
    ) -> TrainingGroup:
        """`settings`: seed, learning_rate, weight_decay of all members of the population."""
        params, rest, static = split_members(group.members)
        if not jax.tree.leaves(params):
            raise ValueError("members must have at least one trainable array, found none")
        own = np.array(group.indices)
        given = Given(_to_host(rest), **{name: values[own] for name, values in settings.items()})
        if plan.row_weights is not None:
            given = given._replace(row_weights=np.asarray(plan.row_weights, np.float32)[own])
        recipe = Recipe(static, loss, optimizer, plan.coupling)
        devices = 1 if mesh is None else mesh.size
        return cls(
            group=group,
            recipe=recipe,
            strategy=strategy,
            mesh=mesh,
            program=epoch_program(recipe, strategy, mesh),
            given=given,
            kept=_first_state(params, optimizer, group.size),
            slots=first_slots(group.size, devices, least_slots(params, group.size, strategy)),
        )

    def epoch(self, lesson: Lesson, active: np.ndarray) -> Outcome:
        """Trains the active places for one epoch; what it tells has one entry per place."""
        if active.any():
            self._settle(active)
        return self._run(lesson, active)

    def ask(self, lesson: Lesson, active: np.ndarray) -> Outcome:
        """What the active places would be told in an epoch; of their state the best may change."""
        if self.live is None and active.any():
            self._settle(active)
        before = self.state()
        told = self._run(lesson, active)
        self.kept = self.state()._replace(params=before.params, opt_state=before.opt_state)
        self.live = None
        return told

    def _run(self, lesson: Lesson, active: np.ndarray) -> Outcome:
        told = nothing_told(self.group.size)
        if not active.any():
            return told
        working = is_active(self.slots, active)
        self.live, outcome = self.program(self.live, self.live_given, lesson, working.ravel())
        for whole, part in zip(told, outcome, strict=True):
            whole[self.slots[working]] = np.asarray(part)[working.ravel()]
        return told

    def state(self) -> State:
        """Every member's state on the host, by place."""
        if self.live is not None:
            filled = self.slots.ravel() != EMPTY
            places = self.slots.ravel()[filled]

            def keep(whole: np.ndarray, part: jax.Array) -> np.ndarray:
                whole = whole.copy()
                whole[places] = np.asarray(part)[filled]
                return whole

            self.kept = jax.tree.map(keep, self.kept, self.live)
        return self.kept

    def restore(self, state: State, slots: np.ndarray) -> None:
        """Continues from a state and the slots it had."""
        self.kept, self.slots, self.live = state, slots, None

    def change(self, changes: Changes) -> None:
        """Gives the members what a stage of a regime gives them; they leave the device."""
        own, state, names = np.array(self.group.indices), self.state(), Changes._fields[:3]
        new = {name: getattr(changes, name) for name in names}
        self.given = self.given._replace(**{k: v[own] for k, v in new.items() if v is not None})
        if changes.copies is not None:
            source, target = (self.group.indices.index(i) for i in changes.copies)
            state = state._replace(params=_copied(state, source, target))
        self.kept, self.live = state, None

    def fitting_slots(self, saved: list) -> np.ndarray:
        """Saved slots, or fresh ones where they were made for another number of devices."""
        slots = np.array(saved)
        return slots if len(slots) == len(self.slots) else self.slots

    def members(self, which: str, lost: Sequence[int] = ()) -> Group:
        """The group with the "params" (last) or "best" parameters; NaN of the `lost` members."""
        params = getattr(self.state(), which)
        places = [place for place, i in enumerate(self.group.indices) if i in lost]
        params = jax.tree.map(lambda a: _nan_at(a, places), params) if places else params
        stacked = assemble(_to_jax(params), _to_jax(self.given.rest), self.recipe.static)
        return Group(stacked, self.group.indices)

    def _settle(self, active: np.ndarray) -> None:
        """Members into their slots on the device, when they are not there."""
        slots = next_slots(self.slots, active, self.strategy)
        if self.live is not None and slots is self.slots:
            return
        state = self.state()
        places = np.where(slots.ravel() == EMPTY, 0, slots.ravel())
        sharding = None
        if self.mesh is not None:
            sharding = NamedSharding(self.mesh, PartitionSpec("members"))
        taken = jax.tree.map(lambda a: a[places], (state, self.given))
        self.live, self.live_given = jax.device_put(taken, sharding)
        self.slots = slots


def assembled(
    population: Population, groups: list[TrainingGroup], which: str, lost: Sequence[int] = ()
) -> Population:
    """The population with the "params" (last) or "best" parameters; NaN of the `lost` members."""
    return Population(tuple(group.members(which, lost) for group in groups), population.seeds)


def nothing_told(members: int) -> Outcome:
    """The outcome of an epoch in which nobody trained, to be filled in."""
    unknown = {name: np.full(members, np.nan) for name in Outcome._fields}
    return Outcome(**unknown | {"healthy": np.zeros(members, bool)})


def check_coupled(kind: str, population: Population, loss: Loss) -> None:
    """Refuses what cannot be coupled."""
    if len(population.groups) > 1:
        raise ValueError(
            f"the regime {kind!r} ties members of one structure together, but the population has "
            f"{len(population.groups)} structures; train unlike members independently"
        )
    if callable(loss):
        raise ValueError(
            f"the regime {kind!r} needs a `loss` by name, since a function of one member's answer "
            "says nothing of the crowd's; name one, or train independently"
        )


def _copied(state: State, source: int, target: int) -> PyTree:
    """The parameters with `target`'s those of `source`: the last, or if it diverged the best."""
    last = [np.isfinite(leaf[source]).all() for leaf in jax.tree.leaves(state.params)]
    origin = state.params if all(last) else state.best

    def put(leaf: np.ndarray, given: np.ndarray) -> np.ndarray:
        leaf = leaf.copy()
        leaf[target] = given[source]
        return leaf

    return jax.tree.map(put, state.params, origin)


def _first_state(params: PyTree, optimizer: optimiser.Direction, size: int) -> State:
    opt_state = _to_host(optimiser.first_state(optimizer, params))
    host = _to_host(params)
    return State(host, opt_state, host, np.full(size, np.inf, np.float32))


def _nan_at(array: np.ndarray, places: list[int]) -> np.ndarray:
    array = np.array(array)
    array[places] = np.nan
    return array


def _to_host(tree: PyTree) -> PyTree:
    return jax.tree.map(np.asarray, tree)


def _to_jax(tree: PyTree) -> PyTree:
    return jax.device_put(tree)  # unlike jnp.asarray, compiles nothing
