"""Optimisers that run on the host, beside the swarms: the same `init`, `ask`, `tell`, `minimise`.

They work in the unit cube, which is the box of the bounds; the losses are computed by a compiled
program, in batches that are padded to powers of two, so that a population that grows or shrinks
compiles few of them. A state is the property of the search that it came from and holds an
optimiser of another package: it can be told once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from shoal.neurons.initialise import as_key
from shoal.swarm.evaluate import check_how, losses, preferred
from shoal.swarm.progress import Told, teller
from shoal.swarm.result import History, Result
from shoal.swarm.search import check_budget
from shoal.swarm.space import Form, box, describe


class Solver(Protocol):
    """An optimiser in the unit cube that someone else keeps."""

    restarts: int

    def ask(self) -> np.ndarray: ...  # (some, dims)
    def tell(self, rows: np.ndarray, values: np.ndarray) -> None: ...


@dataclass(frozen=True)
class HostState:
    """A search between two batches; see `SwarmState` for what the names mean."""

    solver: Solver
    low: np.ndarray
    high: np.ndarray
    form: Form
    frozen: PyTree = field(repr=False)
    rows: np.ndarray | None = None
    value: np.ndarray | None = None
    found_position: np.ndarray | None = None
    found_value: float = float("inf")
    iteration: int = 0
    evaluations: int = 0
    gradients: int = 0

    @property
    def restarts(self) -> int:
        return self.solver.restarts

    @property
    def best(self) -> PyTree:
        """The best position found, a pytree like the one the search began with."""
        found = (self.low + self.high) / 2 if self.found_position is None else self.found_position
        return self.form.build(jnp.asarray(found, self.form.dtype), self.frozen)


def begin(
    bounds: Any, spread: float, key: PRNGKeyArray | int, like: PyTree, make: Callable
) -> HostState:
    """A search over the box; `make(dims, seed, bounded)` gives the solver."""
    form, centre, frozen = describe(like)
    ends = (centre - spread, centre + spread) if bounds is None else box(bounds, form)
    low, high = (np.asarray(end, float) for end in ends)
    seed = int(jax.random.key_data(as_key(key)).reshape(-1)[-1]) % 2**31
    return HostState(make(form.dims, seed, bounds is not None), low, high, form, frozen)


def ask(state: HostState) -> tuple[PyTree, HostState]:
    """The next batch, NumPy's arrays; the optimiser decides how long their leading axis is."""
    unit = state.solver.ask()
    rows = state.low + unit * (state.high - state.low)
    state = replace(state, rows=rows)
    return state.form.build(rows.astype(state.form.dtype), state.frozen), state


def tell(state: HostState, positions: PyTree, fitness: Any) -> HostState:
    """The losses of the batch that `ask` gave; NaN counts as ∞."""
    values = np.asarray(fitness, float)
    if state.rows is None:
        raise ValueError("ask before you tell: this state has no batch that waits for its losses.")
    if values.shape != (len(state.rows),):
        raise ValueError(
            f"`fitness` must be one loss per position, ({len(state.rows)},), got {values.shape}."
        )
    rows = state.form.flat(positions, (len(values),), np).astype(float)
    return _told(state, rows, np.where(np.isnan(values), np.inf, values))


def _told(state: HostState, rows: np.ndarray, values: np.ndarray) -> HostState:
    state.solver.tell((rows - state.low) / (state.high - state.low), values)
    winner = int(np.argmin(values))
    if values[winner] < state.found_value:
        state = replace(state, found_position=rows[winner], found_value=float(values[winner]))
    counts = {"iteration": state.iteration + 1, "evaluations": state.evaluations + len(values)}
    return replace(state, rows=None, value=values, **counts)


def minimise_on_host(
    optimiser: Any,
    loss: Callable,
    like: PyTree = None,
    *,
    key: PRNGKeyArray | int = 0,
    iterations: int | None = None,
    evaluations: int | None = None,
    target: float | None = None,
    args: tuple = (),
    start: PyTree | None = None,
    state: Any = None,
    evaluate: Any = "auto",
    progress: bool | Callable[[Told], Any] | None = None,
    every: int = 10,
) -> Result:
    """What `shoal.swarm.minimise` does, batch by batch; takes the same arguments.

    A batch that would go beyond `evaluations` is still evaluated in part: what is left over counts
    as ∞.
    """
    check_budget(iterations, evaluations)
    check_how(evaluate)
    state = optimiser.init(key, like, start) if state is None else state
    how = preferred(state.form) if evaluate == "auto" else evaluate
    first, budget = state, _Budget(iterations, evaluations)
    told, rows, reason = teller(progress), [], "budget"
    while reason == "budget" and budget.left(first, state) > 0:
        state = _batch(optimiser, state, loss, args, how, budget.share(first, state))
        rows.append(_row(state))
        if told is not None and len(rows) % every == 0:
            reason = "stopped" if told(_told_of(state, first, iterations)) else reason
        if target is not None and state.found_value <= target:
            reason = "target"
    history = History(*(np.asarray(column) for column in zip(*rows, strict=True)))
    counts = (state.iteration, state.evaluations, state.gradients, state.restarts)
    return Result(state.best, state.found_value, history, state, *counts, reason)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Budget:
    """Batches or evaluations, whichever was given."""

    iterations: int | None
    evaluations: int | None

    def left(self, first: HostState, state: HostState) -> int:
        if self.evaluations is None:
            return (self.iterations or 0) - (state.iteration - first.iteration)
        return self.evaluations - (state.evaluations - first.evaluations)

    def share(self, first: HostState, state: HostState) -> int | None:
        """How many of a batch may still be evaluated; None: all."""
        return None if self.evaluations is None else self.left(first, state)


def _told_of(state: HostState, first: HostState, iterations: int | None) -> Told:
    done = state.iteration - first.iteration
    counts = (state.evaluations, state.gradients, state.restarts)
    return Told(done, iterations or done, state.found_value, *counts)


def _batch(
    optimiser: Any, state: HostState, loss: Callable, args: tuple, how: Any, most: int | None
) -> HostState:
    _, state = optimiser.ask(state)
    assert state.rows is not None
    rows = state.rows[:most]
    values = np.full(len(state.rows), np.inf)
    found = _evaluate(loss, state.form, state.frozen, args, how, _padded(rows, state.form.dtype))
    values[: len(rows)] = np.asarray(found)[: len(rows)]
    told = _told(state, state.rows, np.where(np.isnan(values), np.inf, values))
    return replace(told, evaluations=state.evaluations + len(rows))


def _padded(rows: np.ndarray, dtype: Any) -> Array:
    size = 1 << (len(rows) - 1).bit_length()
    return jnp.asarray(np.concatenate([rows, np.repeat(rows[:1], size - len(rows), axis=0)]), dtype)


@eqx.filter_jit
def _evaluate(loss: Callable, form: Form, frozen: PyTree, args: tuple, how: Any, rows: Array):
    return losses(loss, form, frozen, args, how)(rows)


def _row(state: HostState) -> tuple:
    assert state.value is not None
    finite = state.value[np.isfinite(state.value)]
    mean = finite.mean() if finite.size else np.inf
    return state.found_value, state.value.min(), mean, state.evaluations, state.restarts
