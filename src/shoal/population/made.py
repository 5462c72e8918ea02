"""Members of several makes and any seeds, made in one compiled program.

What `Population.init` cannot say; `Population.of` puts them together in any order, also several
times, since members that begin alike may be told different things in training.
"""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from shoal.population.members import Make, _create


def made(makes: Sequence[Make], seeds: Sequence[Sequence[int]]) -> list[list[PyTree]]:
    """For each make its members `make(jax.random.key(seed))`, one per seed.

    >>> import jax.numpy as jnp
    >>> class Point(eqx.Module):
    ...     at: jax.Array
    >>> found = made([lambda key: Point(jax.random.normal(key))], [[7, 8]])
    >>> same = made([lambda key: Point(jax.random.normal(key))], [[8]])
    >>> bool(found[0][1].at == same[0][0].at), bool(found[0][0].at == same[0][0].at)
    (True, False)
    """
    stacks = _create(makes, seeds)
    return [_apart(stack, len(own)) for stack, own in zip(stacks, seeds, strict=True)]


def _apart(stack: PyTree, count: int) -> list[PyTree]:
    """The members of a stack, through host memory, so that nothing is compiled."""
    arrays, rest = eqx.partition(stack, eqx.is_array)
    host = jax.tree.map(np.asarray, arrays)
    each = [jax.device_put(jax.tree.map(lambda a, i=i: a[i], host)) for i in range(count)]
    return [eqx.combine(own, rest) for own in each]
