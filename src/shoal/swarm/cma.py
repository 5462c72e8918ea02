"""CMA-ES through the package `cmaes`, on the interface of the swarms: a strong baseline.

The covariance matrix adaptation evolution strategy learns the shape of the valley it is in; on
smooth losses of up to some hundred dimensions it is hard to beat. With restarts the population
doubles each time (IPOP). Sources: Hansen & Ostermeier (2001); Auger & Hansen, "A restart CMA
evolution strategy with increasing population size" (2005).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray, PyTree

from shoal.equations.checks import require_above_zero, require_positive
from shoal.swarm import host
from shoal.swarm.host import HostState
from shoal.swarm.result import Result
from shoal.swarm.space import check_bounds


@dataclass(frozen=True)
class CMAES:
    """CMA-ES with restarts.

    Args:
        n_particles: the first population; 4 + ⌊3 ln dims⌋ by default.
        bounds: as for `ParticleSwarm`; places outside are drawn again.
        sigma: the first step size, in widths of the box.
        restarts: whether it starts anew with twice the population when it has converged.
        spread: half the width of the box around `like` when there are no bounds.

    Needs the package `cmaes`. A state can be told once.

    >>> import jax.numpy as jnp
    >>> found = CMAES(bounds=(-5.0, 5.0)).minimise(
    ...     lambda x: jnp.sum(x**2), jnp.zeros(3), evaluations=1000
    ... )
    >>> found.value < 1e-6, found.evaluations
    (True, 1000)
    """

    n_particles: int | None = None
    bounds: Any = None
    sigma: float = 0.3
    restarts: bool = True
    spread: float = 1.0

    def __post_init__(self):
        require_positive(n_particles=self.n_particles)
        require_above_zero(sigma=self.sigma, spread=self.spread)
        check_bounds(self.bounds)

    def init(self, key: PRNGKeyArray | int, like: PyTree, start: PyTree | None = None) -> HostState:
        """A search that begins in the middle of the box; `start` is not taken."""
        if start is not None:
            raise ValueError("CMA-ES has no particles to start from places; give `bounds` instead.")
        return host.begin(self.bounds, self.spread, key, like, self._solver)

    def ask(self, state: HostState) -> tuple[PyTree, HostState]:
        """The next batch of positions."""
        return host.ask(state)

    def tell(self, state: HostState, positions: PyTree, fitness: Any) -> HostState:
        """The losses of that batch."""
        return host.tell(state, positions, fitness)

    def minimise(self, loss: Callable, like: PyTree = None, **options) -> Result:
        """Takes what `shoal.swarm.minimise` takes, but `devices`."""
        return host.minimise_on_host(self, loss, like, **options)

    def _solver(self, dims: int, seed: int, bounded: bool) -> _Solver:
        return _Solver(dims, seed, bounded, self.n_particles, self.sigma, self.restarts)


class _Solver:
    """`cmaes.CMA` in the unit cube, with restarts."""

    def __init__(self, dims: int, seed: int, bounded: bool, size: int | None, sigma, restart: bool):
        self.restarts, self._restart = 0, restart
        self._dims, self._bounded, self._size, self._sigma = dims, bounded, size, sigma
        self._random = np.random.default_rng(seed)
        self._cma = self._begin(np.full(dims, 0.5))

    def _begin(self, mean: np.ndarray):
        try:
            from cmaes import CMA
        except ImportError as error:
            raise ImportError("CMAES needs cmaes: pip install 'shoal[swarm]'") from error
        walls = np.tile([0.0, 1.0], (self._dims, 1)) if self._bounded else None
        seed = int(self._random.integers(2**31))
        return CMA(mean, self._sigma, bounds=walls, seed=seed, population_size=self._size)

    def ask(self) -> np.ndarray:
        return np.stack([self._cma.ask() for _ in range(self._cma.population_size)])

    def tell(self, rows: np.ndarray, values: np.ndarray) -> None:
        self._cma.tell(list(zip(rows, values.tolist(), strict=True)))
        if self._restart and self._cma.should_stop():
            self.restarts += 1
            self._size = 2 * self._cma.population_size
            self._cma = self._begin(self._random.uniform(size=self._dims))
