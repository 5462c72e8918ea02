"""Members inside a module: a population as it is, a list of modules, or made from one key.

A module's members are part of it: they are trained, saved and mapped over with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
from jax.core import Tracer
from jaxtyping import PRNGKeyArray, PyTree

from shoal.neurons.initialise import as_key
from shoal.population import Group, Population


def make_members(
    make: Callable[[PRNGKeyArray], PyTree], n_members: int, key: PRNGKeyArray | int
) -> Population:
    """`n_members` new members of one structure, stacked; works inside `jit` and `vmap` too.

    Unlike `Population.init`, everything follows from `key`, so that a population of modules that
    have members of their own gives each module members of its own.

    Args:
        make: `make(key) -> member`.
        n_members: how many, at least 1.
        key: a JAX key or an int seed.

    >>> made = make_members(lambda key: eqx.nn.Linear(3, 2, key=key), 4, key=0)
    >>> made.n_models, made.groups[0].members.weight.shape
    (4, (4, 2, 3))
    """
    if n_members < 1:
        raise ValueError(f"`n_members` must be at least 1, got {n_members}")
    keys = jax.random.split(as_key(key), n_members)
    places = tuple(range(n_members))
    return Population((Group(eqx.filter_vmap(make)(keys), places),), places)


def as_population(members: Any, name: str = "members") -> Population:
    """The population of a module's members.

    Args:
        members: a `Population`, or a list of modules, each called as
            `member(x, timespans=None, *, mask=None, key=None)`.
        name: the argument's name, for messages.

    Raises:
        ValueError: for neither, an empty list, or what is no module.
    """
    if isinstance(members, Population):
        return members
    if not isinstance(members, Sequence) or isinstance(members, str) or not len(members):
        raise ValueError(
            f"`{name}` must be a Population or a list of at least one module, "
            f"got {type(members).__name__}{' of length 0' if members == [] else ''}"
        )
    for index, member in enumerate(members):
        if not callable(member) or not any(map(eqx.is_array, jax.tree.leaves(member))):
            what = getattr(member, "__name__", type(member).__name__)
            raise ValueError(
                f"`{name}` must be modules with arrays of JAX; {index} is {what!r}. Make it an "
                "`eqx.Module`; `shoal.Collective.of` takes plain functions and other libraries"
            )
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(list(members))):
        return _each_alone(members)  # their values cannot be moved while being traced
    return Population.of(members)


def _each_alone(members: Sequence[PyTree]) -> Population:
    def alone(member: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: leaf[None] if eqx.is_array(leaf) else leaf, member)

    groups = tuple(Group(alone(member), (i,)) for i, member in enumerate(members))
    return Population(groups, tuple(range(len(members))))
