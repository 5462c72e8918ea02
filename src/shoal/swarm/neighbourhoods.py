"""Who listens to whom: neighbourhoods as tables of indices.

A table is an integer array (rows, informants); particle i is drawn to the best personal best among
`table[i]`. With one row all particles listen to the same ones.

    global        (1, n)           everybody                          quick, and quick to be stuck
    ring          (n, 2r + 1)      r neighbours on either side        slow and thorough
    von_neumann   (n, 5)           up, down, left, right on a torus   between the two
    random        (n, k + 1)       k drawn anew whenever the swarm's best has not improved

Everybody listens to itself. Sources: Kennedy & Mendes, "Population structure and particle swarm
performance" (2002); Clerc, "Standard particle swarm optimisation" (2012) for the random one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from shoal.equations.checks import require_positive


class Neighbourhood(Protocol):
    """Anything with a table; `redrawn` says whether it is made anew when nothing improves."""

    redrawn: ClassVar[bool]

    def table(self, n: int, key: PRNGKeyArray) -> Int[Array, "rows informants"]: ...


@dataclass(frozen=True)
class Global:
    """Everybody listens to everybody.

    >>> Global().table(4, jax.random.key(0)).tolist()
    [[0, 1, 2, 3]]
    """

    redrawn: ClassVar[bool] = False

    def table(self, n: int, key: PRNGKeyArray) -> Int[Array, "rows informants"]:
        return jnp.arange(n)[None]


@dataclass(frozen=True)
class Ring:
    """`radius` neighbours on either side.

    >>> Ring().table(4, jax.random.key(0)).tolist()
    [[0, 3, 1], [1, 0, 2], [2, 1, 3], [3, 2, 0]]
    """

    radius: int = 1
    redrawn: ClassVar[bool] = False

    def __post_init__(self):
        require_positive(radius=self.radius)

    def table(self, n: int, key: PRNGKeyArray) -> Int[Array, "rows informants"]:
        steps = [s for r in range(1, self.radius + 1) for s in (-r, r)]
        return jnp.asarray((np.arange(n)[:, None] + np.array([0, *steps])) % n)


@dataclass(frozen=True)
class VonNeumann:
    """The four nearest on a torus as square as the number of particles allows.

    >>> VonNeumann().table(6, jax.random.key(0)).tolist()[0]
    [0, 3, 3, 2, 1]
    """

    redrawn: ClassVar[bool] = False

    def table(self, n: int, key: PRNGKeyArray) -> Int[Array, "rows informants"]:
        rows = max(r for r in range(1, int(n**0.5) + 1) if n % r == 0)
        grid = np.arange(n).reshape(rows, n // rows)
        shifted = [np.roll(grid, s, axis) for axis in (0, 1) for s in (1, -1)]
        return jnp.asarray(np.stack([grid, *shifted], axis=-1).reshape(n, 5))


@dataclass(frozen=True)
class Random:
    """`informants` drawn with replacement, besides itself.

    >>> Random(2).table(5, jax.random.key(0)).shape
    (5, 3)
    """

    informants: int = 3
    redrawn: ClassVar[bool] = True

    def __post_init__(self):
        require_positive(informants=self.informants)

    def table(self, n: int, key: PRNGKeyArray) -> Int[Array, "rows informants"]:
        drawn = jax.random.randint(key, (n, self.informants), 0, n)
        return jnp.concatenate([jnp.arange(n)[:, None], drawn], axis=1)


NEIGHBOURHOODS = {"global": Global, "ring": Ring, "von_neumann": VonNeumann, "random": Random}


def best_informant(
    table: Int[Array, "rows informants"], values: Float[Array, " particles"]
) -> Int[Array, " rows"]:
    """Of every row, the particle whose personal best is lowest; the first of equals.

    >>> best_informant(jnp.array([[0, 1], [1, 2]]), jnp.array([3.0, 2.0, 1.0])).tolist()
    [1, 2]
    """
    place = jnp.argmin(values[table], axis=1)
    return jnp.take_along_axis(table, place[:, None], axis=1)[:, 0]
