"""Differential evolution that adapts itself, through the package `minionpy`: a baseline.

L-SHADE learns its two rates from what has succeeded and lets its population shrink until the
budget is spent; jSO, NL-SHADE-RSP, ARRDE and others of the package follow it. The package wants
to call the loss; here it does so from a thread of its own, which waits for `tell`.

Sources: Tanabe & Fukunaga, "Improving the search performance of SHADE using linear population size
reduction" (2014); Brest, Maučec & Bošković, "jSO" (2017).
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray, PyTree

from shoal.equations.checks import require_above_zero, require_one_of, require_positive
from shoal.swarm import host
from shoal.swarm.host import HostState
from shoal.swarm.result import Result
from shoal.swarm.space import check_bounds

METHODS = ("LSHADE", "jSO", "NLSHADE_RSP", "LSRTDE", "ARRDE", "j2020", "IMODE", "AGSK")

_BAD = 1e100  # what a loss that is not finite counts as: the package takes differences


@dataclass(frozen=True)
class DifferentialEvolution:
    """Adaptive differential evolution.

    Args:
        evaluations: the budget over which the population shrinks; with `minimise` and a budget of
            evaluations, that one. When it is spent, or the population has converged, the search
            starts anew.
        n_particles: the first population; by default what the package takes for the dimensions.
        bounds: as for `ParticleSwarm`.
        method: one of `METHODS`.
        spread: half the width of the box around `like` when there are no bounds.

    Needs the package `minionpy`. A state can be told once.

    >>> import jax.numpy as jnp
    >>> found = DifferentialEvolution(bounds=(-5.0, 5.0)).minimise(
    ...     lambda x: jnp.sum(x**2), jnp.zeros(3), evaluations=2000
    ... )
    >>> found.value < 1e-6, found.evaluations
    (True, 2000)
    """

    evaluations: int = 10_000
    n_particles: int | None = None
    bounds: Any = None
    method: str = "LSHADE"
    spread: float = 1.0

    def __post_init__(self):
        require_positive(evaluations=self.evaluations, n_particles=self.n_particles)
        require_above_zero(spread=self.spread)
        require_one_of("method", self.method, METHODS)
        check_bounds(self.bounds)

    def init(self, key: PRNGKeyArray | int, like: PyTree, start: PyTree | None = None) -> HostState:
        """A search whose population is drawn from the box; `start` is not taken."""
        if start is not None:
            raise ValueError("`start` is for swarms; differential evolution draws its population.")
        return host.begin(self.bounds, self.spread, key, like, self._solver)

    def ask(self, state: HostState) -> tuple[PyTree, HostState]:
        """The next batch of positions."""
        return host.ask(state)

    def tell(self, state: HostState, positions: PyTree, fitness: Any) -> HostState:
        """The losses of that batch."""
        return host.tell(state, positions, fitness)

    def minimise(
        self, loss: Callable, like: PyTree = None, *, evaluations: int | None = None, **options
    ) -> Result:
        """Takes what `shoal.swarm.minimise` takes, but `devices`."""
        own = self if evaluations is None else replace(self, evaluations=evaluations)
        return host.minimise_on_host(own, loss, like, evaluations=evaluations, **options)

    def _solver(self, dims: int, seed: int, bounded: bool) -> _Solver:
        return _Solver(self.method, dims, seed, self.evaluations, self.n_particles)


class _Solver:
    """One run of the package after the other; each in a thread that hands over its batches."""

    def __init__(self, method: str, dims: int, seed: int, budget: int, size: int | None):
        self.restarts = -1
        self._method, self._dims, self._budget, self._size = method, dims, budget, size
        self._random = np.random.default_rng(seed)
        self._left = budget
        self._begin()

    def _begin(self) -> None:
        self.restarts += 1
        self._left = self._left if self._left > 4 * self._dims else self._budget
        self._batches, self._answers = SimpleQueue(), SimpleQueue()
        given = (self._method, self._dims, int(self._random.integers(2**31)), self._left)
        run = (*given, self._size, self._batches, self._answers)
        thread = threading.Thread(target=_run, args=run, daemon=True)
        thread.start()
        self._end = weakref.finalize(self, _finish, self._answers, thread)

    def ask(self) -> np.ndarray:
        while (batch := self._batches.get()) is None:  # the package thinks it is done
            self._end()
            self._begin()
        if isinstance(batch, Exception):
            raise batch
        return batch

    def tell(self, rows: np.ndarray, values: np.ndarray) -> None:
        self._left -= len(values)
        self._answers.put(np.where(np.isfinite(values), values, _BAD).tolist())


def _minionpy():
    try:
        import minionpy
    except ImportError as error:
        needs = "DifferentialEvolution needs minionpy: pip install 'shoal[swarm]'"
        raise ImportError(needs) from error
    return minionpy


def _run(method, dims, seed, budget, size, batches: SimpleQueue, answers: SimpleQueue) -> None:
    over = threading.Event()

    def loss(rows):
        batches.put(np.asarray(rows, float).reshape(-1, dims))
        if (values := answers.get()) is None:
            over.set()
            raise InterruptedError("the search was given up")  # the only way out of the package
        return values

    try:
        minionpy = _minionpy()
        walls, options = [(0.0, 1.0)] * dims, {"population_size": size or 0, "x_tol": 1e-12}
        solver = getattr(minionpy, method)
        solver(loss, walls, maxevals=budget, seed=seed, options=options).optimize()
        batches.put(None)
    except Exception as error:
        if not over.is_set():
            batches.put(error)  # raised where the next batch is asked for


def _finish(answers: SimpleQueue, thread: threading.Thread) -> None:
    answers.put(None)
    thread.join(timeout=5.0)
