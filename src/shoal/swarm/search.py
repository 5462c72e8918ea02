"""The search as one compiled program: a scan over the moves of a swarm.

The program is found again by the swarm's settings, the loss (the same function object), the form
of the position and the number of moves; new data through `args`, a new key or a new start compile
nothing. With `progress` the scan is run in pieces of `every` moves, all by one program.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PRNGKeyArray, PyTree

from shoal.equations.checks import require_positive
from shoal.swarm.devices import mesh_for, on_mesh, placed
from shoal.swarm.evaluate import How, check_how, preferred
from shoal.swarm.problem import Problem
from shoal.swarm.progress import Told, teller
from shoal.swarm.result import History, Result
from shoal.swarm.state import SwarmState


class Swarm(Protocol):
    """What `minimise` needs of an optimiser."""

    @property
    def n_particles(self) -> int: ...
    def init(self, key: Any, like: PyTree, start: PyTree | None = None) -> SwarmState: ...
    def advance(self, state: SwarmState, problem: Problem) -> SwarmState: ...
    def converged(self, state: SwarmState) -> Array: ...
    def cost(self) -> int: ...


def minimise(
    swarm: Swarm,
    loss: Callable,
    like: PyTree = None,
    *,
    key: PRNGKeyArray | int = 0,
    iterations: int | None = None,
    evaluations: int | None = None,
    target: float | None = None,
    args: tuple = (),
    start: PyTree | None = None,
    state: SwarmState | None = None,
    evaluate: How = "auto",
    devices: int | Sequence | None = None,
    progress: bool | Callable[[Told], Any] | None = None,
    every: int = 10,
) -> Result:
    """The lowest `loss(position, *args)` a swarm finds, in one compiled program.

    Args:
        swarm: a `ParticleSwarm` or `HybridSwarm`.
        loss: `loss(position, *args)` of one position, a pytree like `like`, as one number that JAX
            can trace; a loss that is NaN never wins. Pass the same function again, and nothing is
            compiled again.
        like, key, start: see `ParticleSwarm.init`.
        iterations: how many moves; or
        evaluations: how many evaluations at most, gradients counted as the swarm says.
        target: the search ends when a loss is as low.
        args: arrays that the loss takes besides the position.
        state: to go on from, instead of `like`, `key` and `start`.
        evaluate: "vmap", "map" or how many particles at once, see `evaluate.py`; "auto" takes what
            was measured to be fastest, "measure" tries them here and now.
        devices: how many, or which; the particles are divided among as many of them as divide
            their number. None: one device.
        progress: True for a line that is kept up to date, or a function of what is `Told` after
            every `every` moves, which ends the search by returning True.

    Raises:
        ValueError: without a budget or for one that is less than a move, and for a loss that is
            not one number.

    Warns when no loss was finite.

    >>> from shoal.swarm import ParticleSwarm
    >>> swarm = ParticleSwarm(bounds=(-1.0, 1.0))
    >>> found = minimise(
    ...     swarm,
    ...     lambda x, a: jnp.abs(x - a).sum(),
    ...     jnp.zeros(2),
    ...     args=(jnp.asarray(0.5),),
    ...     evaluations=1200,
    ...     target=1e-3,
    ... )
    >>> found.reason, found.evaluations < 1200, bool(found.history.best[-1] == found.value)
    ('target', True, True)
    """
    require_positive(every=every)
    moves = _moves(swarm, iterations, evaluations)
    state = swarm.init(key, like, start) if state is None else state
    how = _how(evaluate, loss, state, args)
    mesh = mesh_for(devices, swarm.n_particles)
    tell = teller(progress)
    end = _End(
        target=jnp.asarray(-jnp.inf if target is None else target, state.found_value.dtype),
        limit=state.iteration + moves,  # an array: another number compiles nothing
        early=tell is not None or target is not None or _may_converge(swarm),
    )
    length = moves if tell is None else min(every, moves)
    piece = partial(fly, swarm, loss, args=args, length=length, how=how, mesh=mesh, **end._asdict())
    return _result(*_pieces(swarm, piece, placed(state, mesh), end, tell))


class _End(NamedTuple):
    """When a search is over; `early` when that may be before its length is flown."""

    target: Array
    limit: Array
    early: bool


def _pieces(swarm: Swarm, piece: Callable, state: SwarmState, end: _End, tell: Any) -> tuple:
    """The scan, in as many pieces as it takes: state, history and why it ended."""
    first, rows, reason = int(state.iteration), [], None
    while reason is None:
        at = int(state.iteration)
        state, new = piece(state)
        rows.append([np.asarray(column)[: int(state.iteration) - at] for column in new])
        reason = _reason(swarm, state, end)
        if tell is not None and tell(Told.of(state, first, int(end.limit))):
            reason = reason or "stopped"
    return state, History(*(np.concatenate(column) for column in zip(*rows, strict=True))), reason


def check_budget(iterations: int | None, evaluations: int | None) -> None:
    """Raises a ValueError unless exactly one of them is given and positive."""
    if (iterations is None) == (evaluations is None):
        raise ValueError("give the budget as either `iterations` or `evaluations`.")
    require_positive(iterations=iterations, evaluations=evaluations)


def _moves(swarm: Swarm, iterations: int | None, evaluations: int | None) -> int:
    check_budget(iterations, evaluations)
    if evaluations is None:
        return int(iterations)  # type: ignore[arg-type]
    if evaluations < swarm.cost():
        raise ValueError(
            f"`evaluations` must be at least {swarm.cost()}, one move, got {evaluations}."
        )
    return evaluations // swarm.cost()


def _how(evaluate: Any, loss: Callable, state: SwarmState, args: tuple) -> How:
    if evaluate == "measure":
        from shoal.swarm.measure import fastest

        return fastest(loss, state, args)
    check_how(evaluate)
    return preferred(state.form) if evaluate == "auto" else evaluate


def _may_converge(swarm: Swarm) -> bool:
    convergence, restarts = getattr(swarm, "convergence", None), getattr(swarm, "restarts", False)
    return convergence is not None and not restarts


@eqx.filter_jit
def fly(
    swarm: Swarm,
    loss: Callable,
    state: SwarmState,
    args: tuple = (),
    length: int = 100,
    how: How = "vmap",
    mesh: Mesh | None = None,
    target: Array | float = -jnp.inf,
    limit: Array | int = 2**31 - 1,
    *,
    early: bool = True,
) -> tuple[SwarmState, History]:
    """`length` moves as one scan: pure, to be mapped over keys or put inside a larger program.

    Rows of the history after the search's end repeat the last one. With `early=False` nothing
    but the length ends it.
    """
    problem = Problem(loss, state.form, state.frozen, args, how, mesh)

    def advance(state: SwarmState) -> SwarmState:
        return on_mesh(swarm.advance(state, problem), mesh)

    def step(state: SwarmState, _):
        if early:
            over = _over(swarm, state, target, limit)
            state = jax.lax.cond(over, lambda s: s, advance, state)
        else:
            state = advance(state)
        return state, _row(state)

    return jax.lax.scan(step, state, None, length=length)


def _over(swarm: Swarm, state: SwarmState, target: Any, limit: Any) -> Array:
    there = (state.found_value <= target) & jnp.isfinite(target)
    return (state.iteration >= limit) | there | swarm.converged(state)


def _row(state: SwarmState) -> History:
    finite = jnp.isfinite(state.value)
    mean = jnp.where(finite, state.value, 0).sum() / jnp.maximum(finite.sum(), 1)
    mean = jnp.where(finite.any(), mean, jnp.inf)
    cost = state.evaluations + state.gradients
    return History(state.found_value, state.value.min(), mean, cost, state.restarts)


def _reason(swarm: Swarm, state: SwarmState, end: _End) -> Any:
    if bool((state.found_value <= end.target) & jnp.isfinite(end.target)):
        return "target"
    if bool(swarm.converged(state)):
        return "converged"
    return "budget" if int(state.iteration) >= int(end.limit) else None


def _result(state: SwarmState, history: History, reason: Any) -> Result:
    value = float(state.found_value)
    if not np.isfinite(value):
        warnings.warn(
            f"none of {int(state.evaluations)} losses was finite; the best is where it began.",
            stacklevel=3,
        )
    return Result(
        best=state.best,
        value=value,
        history=history,
        state=state,
        iterations=int(state.iteration),
        evaluations=int(state.evaluations),
        gradients=int(state.gradients),
        restarts=int(state.restarts),
        reason=reason,
    )
