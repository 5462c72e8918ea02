"""Members that share matrices while they train: one state for all of them.

To the loop over epochs this is a `TrainingGroup` like any other; but its members cannot be moved,
stopped or begun one by one, since the matrices that they train are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from shoal.neurons.frozen import partition
from shoal.population import optimiser
from shoal.population.members import Population
from shoal.population.objective import Loss
from shoal.population.regimes.plan import Changes, Plan
from shoal.population.shared import SharedGroup
from shoal.population.shared_gradient import Params, SharedRecipe
from shoal.population.shared_program import shared_program
from shoal.population.strategy import Strategy, first_slots
from shoal.population.train import Given, Lesson, Outcome, State
from shoal.population.training_group import TrainingGroup, nothing_told


def training_group(group: Any, *arguments: Any) -> Any:
    """A `TrainingGroup`, or what stands in for it where members share matrices; same arguments."""
    kind: Any = SharedTraining if isinstance(group, SharedGroup) else TrainingGroup
    return kind.start(group, *arguments)


def sharings(population: Population) -> dict[str, str]:
    """What a fingerprint must say of members that share matrices; nothing of others."""
    found = [repr(group.sharing) for group in population.groups if isinstance(group, SharedGroup)]
    return {"sharing": ", ".join(found)} if found else {}


@dataclass
class SharedTraining:
    """One shared group's state, on the host (`kept`) and on the device (`live`)."""

    group: SharedGroup
    recipe: SharedRecipe
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
        group: SharedGroup,
        settings: Mapping[str, np.ndarray],
        loss: Loss,
        optimizer: optimiser.Direction,
        strategy: Strategy,
        mesh: Mesh | None,
        plan: Plan = Plan(),  # noqa: B008 (frozen)
    ) -> SharedTraining:
        """`settings`: seed, learning_rate, weight_decay of all members of the population."""
        check_plan(group, plan)
        own = np.array(group.indices)
        given = Given(
            _to_host(_parts(group)[1]),
            settings["seed"][own],
            common_value(settings["learning_rate"][own], "learning_rate"),
            common_value(settings["weight_decay"][own], "weight_decay"),
        )
        if plan.row_weights is not None:
            given = given._replace(row_weights=np.asarray(plan.row_weights, np.float32)[own])
        own_params, _, static = _parts(group)
        in_turn = strategy == "loop"
        options = (group.layout, group.sharing, loss, optimizer, plan.coupling, in_turn)
        recipe = SharedRecipe(static, *options)
        params = _to_host(Params(group.common, own_params, group.fast))
        kept = State(
            params, _first_opt_state(optimizer, params), params, np.array(np.inf, np.float32)
        )
        slots = first_slots(group.size, 1)
        return cls(group, recipe, mesh, shared_program(recipe, mesh), given, kept, slots)

    def epoch(self, lesson: Lesson, active: np.ndarray) -> Outcome:
        """Trains all members for one epoch; what it tells has one entry per member."""
        told = nothing_told(self.group.size)
        if not active.any():
            return told
        if self.live is None:
            place = None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec())
            self.live, self.live_given = jax.device_put((self.kept, self.given), place)
        self.live, outcome = self.program(self.live, self.live_given, lesson, active)
        return Outcome(*(np.array(part) for part in outcome))

    def ask(self, lesson: Lesson, active: np.ndarray) -> Outcome:
        """What the members would be told in an epoch; of their state the best may change."""
        before = jax.tree.map(np.array, self.state())
        told = self.epoch(lesson, active)
        self.kept = self.state()._replace(params=before.params, opt_state=before.opt_state)
        self.live = None
        return told

    def state(self) -> State:
        """Everything that training changes, on the host."""
        if self.live is not None:
            self.kept = _to_host(self.live)
        return self.kept

    def restore(self, state: State, slots: np.ndarray) -> None:
        """Continues from a state."""
        self.kept, self.live = state, None

    def change(self, changes: Changes) -> None:
        """Nothing: what shares matrices trains in one stage."""

    def fitting_slots(self, saved: list) -> np.ndarray:
        """Members have no places of their own."""
        return self.slots

    def members(self, which: str, lost: Sequence[int] = ()) -> SharedGroup:
        """The group with the "params" (last) or "best" parameters; NaN where it is `lost`."""
        params = getattr(self.state(), which)
        if set(self.group.indices) & set(lost):
            params = jax.tree.map(lambda a: np.full_like(a, np.nan), params)
        params = jax.device_put(params)
        own = eqx.combine(params.own, *_parts(self.group)[1:])
        group = self.group
        indices, layout, sharing = group.indices, group.layout, group.sharing
        return SharedGroup(params.common, own, params.fast, indices, layout, sharing)


def check_plan(group: SharedGroup, plan: Plan) -> None:
    """Refuses what members that share matrices cannot do."""
    if plan.stages is not None:
        raise ValueError(
            "members that share matrices learn at the same time, but this regime trains them one "
            "after the other; leave `sharing` out, or train independently"
        )
    if plan.coupling is not None and group.sharing.rows != "all":
        raise ValueError(
            "this regime compares all members' answers to a row, but `sharing` gives each row to "
            'one member; set its rows="all", or train independently'
        )


def common_value(values: np.ndarray, name: str) -> np.ndarray:
    """The one value that all members have."""
    if len(set(values.tolist())) > 1:
        raise ValueError(
            f"`{name}` must be one number where members share matrices, got {values.tolist()}"
        )
    return values[0]


def _parts(group: SharedGroup) -> tuple[PyTree, PyTree, PyTree]:
    """What members have of their own: what is trained, other arrays, and what is no array."""
    params, others = partition(group.own)
    rest, static = eqx.partition(others, eqx.is_array)
    return params, rest, static


def _first_opt_state(optimizer: optimiser.Direction, params: Params) -> PyTree:
    """All directions that have names start from zeros; others are asked."""
    init = optimizer.transform.init
    if optimizer.name is None:
        return _to_host(jax.jit(init)(params))
    return jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), jax.eval_shape(init, params))


def _to_host(tree: PyTree) -> PyTree:
    return jax.tree.map(np.asarray, tree)
