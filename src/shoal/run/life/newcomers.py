"""New members for a crowd: built as the old ones were, from seeds that nobody has had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shoal.run.errors import Refused, refusing
from shoal.run.life.existing import Existing
from shoal.run.life.roster import Roster


@dataclass(frozen=True)
class Newcomers:
    """Members that nobody has trained, and their seeds."""

    members: list[Any]
    seeds: list[int]


def newcomers(old: Existing, roster: Roster, seed: int | None = None) -> Newcomers:
    """First one for every place that is given away, then those that are added."""
    from shoal.population import Population

    population, count = old.crowd.population, roster.newcomers + roster.added
    if not count:
        return Newcomers([], [])
    first = next_seed(old) if seed is None else seed
    like = [*(roster.replaced or ()), *(place % roster.size for place in range(roster.added))]
    group = {place: n for n, each in enumerate(population.groups) for place in each.indices}
    members: list[Any] = [None] * count
    seeds = [first + i for i in range(count)]
    for number in sorted({group[place] for place in like}):
        own = [i for i, place in enumerate(like) if group[place] == number]
        make = _make(old, number)
        with refusing("seed"):
            made = Population.init(make, count, first)
        for i in own:
            members[i] = made.member(i)
    return Newcomers(members, seeds)


def _make(old: Existing, number: int) -> Any:
    """What builds members like those of a group of the crowd."""
    from shoal.bundle import registry

    group = old.crowd.population.groups[number]
    if old.make is not None:
        return old.make[number] if isinstance(old.make, Sequence) else old.make
    kind, description = registry.describe(old.crowd.population.member(group.indices[0]))
    if kind is None:
        raise Refused(f"{old.path}: no kind describes its members; give `make`, which builds one")
    return lambda key: registry.kind(kind).build(description, key)


def next_seed(old: Existing) -> int:
    """One more than the seed of any member that the crowd has, or has had.

    Raises:
        Refused: there is none left.
    """
    had = [*old.crowd.seeds, *old.facts.get("seeds", ())]
    had += [seed for one in old.facts.get("updates", ()) for seed in one.get("seeds", ())]
    return max(int(seed) for seed in had) + 1
