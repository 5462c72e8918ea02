"""What a person is told while a swarm searches."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from shoal.swarm.state import SwarmState


class Told(NamedTuple):
    """How far the search is.

    Attributes:
        iteration, iterations: moves done of those there will be.
        best: the lowest loss so far.
        evaluations, gradients, restarts: counts so far.

    >>> print(Told(10, 200, 0.25, 120, 0, 0))
    move 10/200  best 0.25  evaluations 120  restarts 0
    """

    iteration: int
    iterations: int
    best: float
    evaluations: int
    gradients: int
    restarts: int

    @classmethod
    def of(cls, state: SwarmState, first: int, limit: int) -> Told:
        """From a state; moves are counted from `first`."""
        names = ("evaluations", "gradients", "restarts")
        counts = (int(getattr(state, name)) for name in names)
        done = int(state.iteration) - first
        return cls(done, limit - first, float(state.found_value), *counts)

    def __str__(self) -> str:
        gradients = f"  gradients {self.gradients}" if self.gradients else ""
        return (
            f"move {self.iteration}/{self.iterations}  best {self.best:.6g}  "
            f"evaluations {self.evaluations}{gradients}  restarts {self.restarts}"
        )


def teller(progress: bool | Callable[[Told], Any] | None) -> Callable | None:
    """What is called with what is `Told`; None when nobody asked."""
    if progress is None or progress is False:
        return None
    return progress if callable(progress) else _line


def _line(told: Told) -> None:
    """One line that is written over on a terminal, lines one below the other elsewhere."""
    over = sys.stderr.isatty() and told.iteration < told.iterations
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{start}{told}", end="" if over else "\n", file=sys.stderr, flush=True)
