"""A population: many members as pytrees with a leading axis.

Members of one structure are stacked into one group, whatever their number; members of unlike
structure are several groups. A member is any pytree with

    member(x, timespans=None, *, mask=None, key=None) -> prediction

where the prediction is an array, a `Normal` or a `Categorical`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from shoal.neurons.frozen import set_dropout
from shoal.population.own_losses import answer_with_losses
from shoal.population.sharing import Sharing, resolve
from shoal.population.strategy import map_members, prefers_loop, quick_compile
from shoal.population.taking import take

Make = Callable[[PRNGKeyArray], PyTree]


class Group(eqx.Module):
    """Members of one structure, stacked; `indices` are their places in the population."""

    members: PyTree
    indices: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        return len(self.indices)

    def parts(self) -> tuple[PyTree, Callable[[PyTree], PyTree]]:
        """Arrays with the axis members first, and what makes one's of them that member."""
        arrays, static = eqx.partition(self.members, eqx.is_array)
        return arrays, lambda own: eqx.combine(own, static)

    def take(self, place: int) -> PyTree:
        """The member at a place, without the leading axis."""
        return take(self.members, place)

    def select(self, places: Sequence[int] | np.ndarray, indices: tuple[int, ...]) -> Group:
        """Some of the members, with new places in a population."""
        return Group(take(self.members, np.asarray(places)), indices)

    def with_dropout(self, rates: Array) -> Group:
        """The members with other rates of dropout, one per member."""
        return Group(set_dropout(self.members, rates), self.indices)


class Population(eqx.Module):
    """`n_models` members in `groups`; `seeds[i]` is what member i was made from.

    >>> import equinox as eqx, jax
    >>> class Line(eqx.Module):
    ...     w: jax.Array
    ...
    ...     def __call__(self, x, timespans=None, *, mask=None, key=None):
    ...         return x @ self.w
    >>> crowd = Population.init(lambda key: Line(jax.random.normal(key, (3, 1))), n_models=4)
    >>> crowd.seeds, crowd(jax.numpy.ones((8, 3))).shape
    ((42, 43, 44, 45), (4, 8, 1))
    """

    groups: tuple[Any, ...]  # of `Group` and `SharedGroup`
    seeds: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def init(
        cls,
        make: Make | Sequence[Make],
        n_models: int = 5,
        base_seed: int = 42,
        *,
        sharing: Any = None,
    ):
        """Members made from the seeds base_seed, base_seed + 1, …, in one compiled program.

        Args:
            make: `make(key) -> member`, or a list of them, which the members take in turn.
            n_models: how many members.
            base_seed: the first seed; member i is `make(jax.random.key(base_seed + i))`.
            sharing: "batch_ensemble" or "tabm", a dict with that `kind`, or a
                `shoal.population.sharing`: members have their matrices in common. None for
                members that share nothing.

        Raises:
            ValueError: for no members, no makes, or seeds outside [0, 2³²); for a sharing of
                members of several makes.
        """
        makes = list(make) if isinstance(make, Sequence) else [make]
        if not makes:
            raise ValueError("`make` must be a function or a list of functions, got an empty list")
        if n_models < 1:
            raise ValueError(f"`n_models` must be at least 1, got {n_models}")
        seeds = tuple(range(int(base_seed), int(base_seed) + n_models))
        if seeds[0] < 0 or seeds[-1] >= 2**32:
            raise ValueError(f"seeds must lie in [0, 2**32), got {seeds[0]} to {seeds[-1]}")
        sharing = resolve(sharing)
        if sharing is not None:
            return cls((_shared(makes, seeds, sharing),), seeds)
        made = [tuple(range(i, n_models, len(makes))) for i in range(min(len(makes), n_models))]
        stacks = _create(makes, [[seeds[i] for i in indices] for indices in made])
        return cls(_merge(stacks, made), seeds)

    @classmethod
    def of(cls, members: Sequence[PyTree], seeds: Sequence[int] | None = None):
        """Members that exist already; those of one structure are stacked into one group.

        Args:
            members: the members, in the order their predictions will have.
            seeds: one per member; 0, 1, … by default.
        """
        if not members:
            raise ValueError("`members` must hold at least one member, got an empty list")
        seeds = tuple(range(len(members))) if seeds is None else tuple(int(s) for s in seeds)
        if len(seeds) != len(members):
            raise ValueError(f"`seeds` must have {len(members)} entries, got {len(seeds)}")
        stacks = [_stack([member]) for member in members]
        return cls(_merge(stacks, [(i,) for i in range(len(members))]), seeds)

    @property
    def n_models(self) -> int:
        return len(self.seeds)

    def __len__(self) -> int:
        return self.n_models

    def __getitem__(self, index: int | slice):
        """`population[i]` is member i, `population[a:b]` the population of those members."""
        if isinstance(index, slice):
            return self.select(range(self.n_models)[index])
        return self.member(index)

    def member(self, index: int) -> PyTree:
        """Member `index` alone, without the leading axis."""
        place = range(self.n_models)[index]
        for group in self.groups:
            if place in group.indices:
                return group.take(group.indices.index(place))
        raise AssertionError("a population's groups hold all of its members")

    def select(self, indices: Sequence[int]):
        """The population of the members at `indices`, in that order."""
        places = [range(self.n_models)[int(i)] for i in indices]
        if not places:
            raise ValueError("`indices` must name at least one member, got none")
        groups = []
        for group in self.groups:
            wanted = [
                (new, group.indices.index(old))
                for new, old in enumerate(places)
                if old in group.indices
            ]
            if wanted:
                new, old = zip(*wanted, strict=True)
                groups.append(group.select(old, tuple(new)))
        return Population(tuple(groups), tuple(self.seeds[i] for i in places))

    def expanded(self) -> Population:
        """The same members, sharing nothing; as it is where they do not."""
        return Population(tuple(Group(g.members, g.indices) for g in self.groups), self.seeds)

    def __call__(
        self,
        x: Array,
        timespans: Array | None = None,
        *,
        mask: Array | None = None,
        key: PRNGKeyArray | None = None,
    ) -> PyTree[Array]:
        """Every member's prediction, stacked on the leading axis in the order of the members."""
        return _predict(self, x, timespans, mask, key, None)

    def with_losses(self, x, timespans=None, *, mask=None, key=None) -> tuple[PyTree, Array]:
        """The predictions, and what each member's own modules add to its loss, (members,)."""
        return _predict(self, x, timespans, mask, key, answer_with_losses)


@eqx.filter_jit
def _predict(population: Population, x, timespans, mask, key, ask: Callable | None):
    keys = None if key is None else jax.random.split(key, population.n_models)
    groups = population.groups
    answers = [_predict_group(group, x, timespans, mask, keys, ask) for group in groups]
    if len({jax.tree.structure(answer) for answer in answers}) > 1:
        found = ", ".join(sorted({type(answer).__name__ for answer in answers}))
        raise ValueError(f"members must answer one kind of prediction, found {found}")
    order = np.argsort(np.concatenate([np.array(g.indices) for g in population.groups]))
    return jax.tree.map(lambda *parts: jnp.concatenate(parts)[order], *answers)


def _predict_group(group: Any, x, timespans, mask, keys, ask: Callable | None):
    arrays, member = group.parts()
    own = None if keys is None else keys[np.array(group.indices)]

    def one(arrays, key):
        asked = member(arrays)
        if ask is not None:
            return ask(asked, x, timespans, mask=mask, key=key)
        return asked(x, timespans, mask=mask, key=key)

    return map_members(one, (arrays, own), loop=prefers_loop(x))


def _shared(makes: Sequence[Make], seeds: tuple[int, ...], sharing: Sharing) -> Any:
    from shoal.population.shared import shared_group

    if len(makes) > 1:
        raise ValueError(
            f"members that share matrices ({sharing.kind!r}) are of one structure, got "
            f"{len(makes)} makes; give one, or leave `sharing` out"
        )
    return shared_group(makes[0], seeds, sharing)


def _create(makes: Sequence[Make], seeds: Sequence[Sequence[int]]) -> list[PyTree]:
    """The stacked members of every make, all in one compiled program."""
    statics: list[PyTree] = [None] * len(seeds)

    def arrays_of(which: int, seed: Array) -> PyTree:
        member = makes[which](jax.random.key(seed))
        arrays, statics[which] = eqx.partition(member, eqx.is_array)
        return arrays

    def create(seeds: list[Array]) -> list[PyTree]:
        return [jax.lax.map(lambda s, i=i: arrays_of(i, s), own) for i, own in enumerate(seeds)]

    arrays = jax.jit(create, compiler_options=quick_compile())(
        [np.array(own, np.uint32) for own in seeds]
    )
    return [eqx.combine(a, s) for a, s in zip(arrays, statics, strict=True)]


def _merge(stacks: list[PyTree], indices: list[tuple[int, ...]]) -> tuple[Group, ...]:
    """One group per structure."""
    kinds: list[tuple[Any, list[int]]] = []
    for which, stack in enumerate(stacks):
        kind = structure(stack)
        same = [own for other, own in kinds if other == kind]
        if same:
            same[0].append(which)
        else:
            kinds.append((kind, [which]))
    return tuple(_joined([stacks[w] for w in own], [indices[w] for w in own]) for _, own in kinds)


def _joined(stacks: list[PyTree], indices: list[tuple[int, ...]]) -> Group:
    if len(stacks) == 1:
        return Group(stacks[0], indices[0])
    places = np.concatenate([np.array(own) for own in indices])
    order = np.argsort(places)

    def join(*leaves):
        if not eqx.is_array(leaves[0]):
            return leaves[0]
        return jax.device_put(np.concatenate([np.asarray(leaf) for leaf in leaves])[order])

    return Group(jax.tree.map(join, *stacks), tuple(int(p) for p in places[order]))


def structure(stack: PyTree) -> tuple:
    """What two stacks must share to be one group: everything but the arrays' values."""
    arrays, static = eqx.partition(stack, eqx.is_array)
    leaves, tree = jax.tree.flatten(arrays)
    kinds = tuple((leaf.shape[1:], str(leaf.dtype)) for leaf in leaves)
    return tree, kinds, *jax.tree.flatten(static)


def _stack(members: Sequence[PyTree]) -> PyTree:
    def join(*leaves):
        if not eqx.is_array(leaves[0]):
            return leaves[0]
        return jax.device_put(np.stack([np.asarray(leaf) for leaf in leaves]))

    return jax.tree.map(join, *members)
