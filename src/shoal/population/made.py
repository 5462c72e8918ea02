"""A population whose members differ in what made them and in their seed, in any order.

What `Population.init` cannot say: members of which several begin alike, because only what training
is told of them differs. Each pair of a make and a seed is made once, all in one program.
"""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from shoal.population.members import Make, Population, _create, _merge


def made(makes: Sequence[Make], which: Sequence[int], seeds: Sequence[int]) -> Population:
    """Member i is `makes[which[i]](jax.random.key(seeds[i]))`.

    Args:
        makes: what makes members; of one structure or of several.
        which: for each member the place of its make.
        seeds: one per member, in [0, 2³²).

    >>> import jax.numpy as jnp
    >>> class Point(eqx.Module):
    ...     at: jax.Array
    >>> crowd = made([lambda key: Point(jax.random.normal(key))], [0, 0, 0], [7, 8, 7])
    >>> crowd.seeds, bool(crowd[0].at == crowd[2].at), bool(crowd[0].at == crowd[1].at)
    ((7, 8, 7), True, False)
    """
    if not which or len(which) != len(seeds):
        raise ValueError(f"needs a make and a seed per member, got {len(which)} and {len(seeds)}")
    own = [[i for i, make in enumerate(which) if make == place] for place in range(len(makes))]
    unlike = [sorted({int(seeds[i]) for i in members}) for members in own]
    used = [place for place, members in enumerate(own) if members]
    stacks = _create([makes[place] for place in used], [unlike[place] for place in used])
    copies = [
        _copies(stack, [unlike[place].index(int(seeds[i])) for i in own[place]])
        for place, stack in zip(used, stacks, strict=True)
    ]
    groups = _merge(copies, [tuple(own[place]) for place in used])
    return Population(groups, tuple(int(seed) for seed in seeds))


def _copies(stack: PyTree, places: list[int]) -> PyTree:
    """The members at some places, through host memory, so that nothing is compiled."""

    def take(leaf):
        return jax.device_put(np.asarray(leaf)[places]) if eqx.is_array(leaf) else leaf

    return jax.tree.map(take, stack)
