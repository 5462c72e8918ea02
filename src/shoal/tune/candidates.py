"""A trial as the engine trains it, and the population that many of them make.

Members that begin alike (of one make and seed) are made once and copied; then each is told its own
dropout and time scaling, which are arrays, so that all members of one structure stay one group.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from shoal.neurons.frozen import Dropout
from shoal.neurons.time_scaling import TimeScaling
from shoal.population import Group, Population
from shoal.population.made import made

Nursery = dict[tuple[Hashable, int], Any]  # members as they begin, by key and seed


class Candidate(NamedTuple):
    """A trial as the engine trains it.

    Args:
        key: candidates of equal keys have the same `make`.
        make: `make(key) -> member`.
        seeds: one member of each.
        learning_rate, weight_decay: of all of them.
        dropout: the rate of every dropout; None leaves the member's own.
        time_scaling: in place of the member's own, None leaves that.
    """

    key: Hashable
    make: Callable[[Any], Any]
    seeds: tuple[int, ...] = (0,)
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    dropout: float | None = None
    time_scaling: TimeScaling | None = None


def lineup(
    candidates: Sequence[Candidate], nursery: Nursery | None = None
) -> tuple[Population, tuple[int, ...]]:
    """The members of all candidates, and the place of the candidate each belongs to."""
    owner = tuple(place for place, one in enumerate(candidates) for _ in one.seeds)
    seeds = [seed for one in candidates for seed in one.seeds]
    own = [candidates[place] for place in owner]
    population = Population.of(_born(own, seeds, {} if nursery is None else nursery), seeds)
    groups = tuple(_dressed(group, [own[i] for i in group.indices]) for group in population.groups)
    return Population(groups, population.seeds), owner


def _born(own: Sequence[Candidate], seeds: Sequence[int], nursery: Nursery) -> list[Any]:
    """The members as they begin; those that the nursery lacks are made, all in one program."""
    wanted: dict[Hashable, list[int]] = {}
    for one, seed in zip(own, seeds, strict=True):
        if (one.key, seed) not in nursery and seed not in wanted.setdefault(one.key, []):
            wanted[one.key].append(seed)
    lacking = {key: new for key, new in wanted.items() if new}
    makes = {one.key: one.make for one in own}
    if lacking:
        found = made([makes[key] for key in lacking], list(lacking.values()))
        for (key, new), members in zip(lacking.items(), found, strict=True):
            nursery.update(zip([(key, seed) for seed in new], members, strict=True))
    return [nursery[one.key, seed] for one, seed in zip(own, seeds, strict=True)]


def _dressed(group: Group, own: Sequence[Candidate]) -> Group:
    """The members with their own dropout and time scaling."""
    members = group.members
    rates = np.array([np.nan if one.dropout is None else one.dropout for one in own], np.float32)
    if np.isfinite(rates).any():
        members = _with_dropout(members, rates)
    if any(one.time_scaling is not None for one in own):
        members = _with_scaling(members, [one.time_scaling for one in own])
    return Group(members, group.indices)


def _with_dropout(members: Any, rates: np.ndarray) -> Any:
    """NaN leaves a member's own rate."""

    def replaced(node: Any) -> Any:
        if not isinstance(node, Dropout):
            return node
        old = np.asarray(node.rate.value)
        new = rates.reshape(-1, *[1] * (old.ndim - 1))
        value = jax.device_put(np.where(np.isnan(new), old, new).astype(np.float32))
        return eqx.tree_at(lambda d: d.rate.value, node, value)

    return jax.tree.map(replaced, members, is_leaf=lambda node: isinstance(node, Dropout))


def _with_scaling(members: Any, scalings: Sequence[TimeScaling | None]) -> Any:
    """None leaves a member's own."""

    def replaced(node: Any) -> Any:
        if not isinstance(node, TimeScaling):
            return node
        news = [[None] * 3 if one is None else jax.tree.leaves(one) for one in scalings]
        olds, tree = jax.tree.flatten(node)
        arrays = [np.array(old) for old in olds]
        for place, new in enumerate(news):
            for array, value in zip(arrays, new, strict=True):
                array[place] = array[place] if value is None else value
        return jax.tree.unflatten(tree, map(jax.device_put, arrays))

    return jax.tree.map(replaced, members, is_leaf=lambda node: isinstance(node, TimeScaling))
