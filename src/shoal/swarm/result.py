"""What a search found, and how it got there."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from jaxtyping import PyTree


class History(NamedTuple):
    """What was found, move by move; each (iterations,).

    Attributes:
        best: the lowest loss so far.
        now: the lowest loss among the particles.
        mean: the mean of their losses, of those that are finite.
        cost: evaluations and gradients so far.
        restarts: new starts so far.
    """

    best: Any
    now: Any
    mean: Any
    cost: Any
    restarts: Any


class Result(NamedTuple):
    """What a search found.

    Attributes:
        best: the best position, a pytree like the one it began with.
        value: its loss.
        history: move by move.
        state: to look at, or to search on from: `minimise(..., state=result.state)`.
        iterations, evaluations, gradients, restarts: how much was done in all.
        reason: "budget", "target", "converged" or "stopped" (by `progress`).
    """

    best: PyTree
    value: float
    history: History
    state: Any
    iterations: int
    evaluations: int
    gradients: int
    restarts: int
    reason: Literal["budget", "target", "converged", "stopped"]
