"""What a regime asks of the training loop: an objective, a data plan, a schedule.

    objective   `coupling`: members answer every batch together, and a loss sees all answers
    data plan   `row_weights`: how much each sample counts for each member
                `features`: which columns of x each member sees
    schedule    `stages`: who trains when, and what changes between

`loss` is what members must be trained on, None for the user's own.

A plan that asks for nothing trains every member by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from shoal.population.coupling import Coupling

# member's number -> what its best parameters answer to the training (False) or validation samples
Answers = Callable[[int, bool], Any]


class Changes(NamedTuple):
    """What changes as a stage begins; None leaves it.

    Attributes:
        row_weights: (n_models, rows) how much each sample counts for each member.
        targets, valid_targets: (n_models, rows, ...) in place of y.
        copies: (from, to): a member that goes on where another one stands.
    """

    row_weights: np.ndarray | None = None
    targets: np.ndarray | None = None
    valid_targets: np.ndarray | None = None
    copies: tuple[int, int] | None = None


class Stages(Protocol):
    """Members that train one stage after the other, each as many epochs as were asked for.

    One object serves one training. `begin` is called once for every stage, in order; a training
    that is taken up again calls it for the stages it has behind it, with the same answers.
    """

    count: int

    def active(self, stage: int) -> np.ndarray:
        """(n_models,) who trains in a stage."""
        ...

    def begin(self, stage: int, answers: Answers) -> Changes | None:
        """What changes; None ends the training, and the members left are not trained."""
        ...

    def finish(self, answers: Answers) -> dict[str, Any] | None:
        """The weighting that the members need, as JSON; None where any serves."""
        ...


@dataclass(frozen=True)
class Plan:
    """An objective, a data plan, a schedule; see the head of this file."""

    coupling: Coupling | None = None
    row_weights: np.ndarray | None = None
    features: np.ndarray | None = None  # (n_models, columns) of 1 and 0
    stages: Stages | None = None
    loss: str | None = None
