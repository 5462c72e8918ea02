"""Where a training stands in its regime's stages.

A training without stages is one stage in which everybody trains. What a stage begins with follows
from the members trained before it, so that a training that is taken up again begins its stages
anew, in order, and stands where it stood.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from shoal.population.history import History
from shoal.population.members import Population
from shoal.population.regimes.plan import Answers, Changes, Stages
from shoal.population.samples import Samples, in_order
from shoal.population.training_group import TrainingGroup, assembled

_ROWS = 1024  # answered at once


@dataclass
class Progress:
    """The stages, and in which epoch each began."""

    plan: Stages | None
    members: int
    answers: Answers
    starts: list[int] = field(default_factory=list)
    active: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    @property
    def count(self) -> int:
        return 1 if self.plan is None else self.plan.count

    def stages(self, groups: list[TrainingGroup], history: History) -> Iterator[int]:
        """The stages that are left, each begun when its turn comes."""
        behind = len(self.starts)
        for stage in range(self.count):
            changes = self._begin(stage)
            if changes is None:
                return
            if stage < behind:
                changes = changes._replace(copies=None)  # what was copied has been trained since
            else:
                self.starts.append(history.epochs)
            for group in groups:
                group.change(changes)
            if stage >= behind - 1:
                yield stage

    def done(self, epochs: int) -> int:
        """How many epochs of the stage lie behind, when `epochs` of the training do."""
        return epochs - self.starts[-1]

    def finish(self, interrupted: bool) -> dict[str, Any] | None:
        """The weighting that the members need."""
        return None if self.plan is None or interrupted else self.plan.finish(self.answers)

    def is_last(self, stage: int) -> bool:
        return stage + 1 == self.count

    def _begin(self, stage: int) -> Changes | None:
        if self.plan is None:
            self.active = np.ones(self.members, bool)
            return Changes()
        self.active = np.asarray(self.plan.active(stage), bool)
        return self.plan.begin(stage, self.answers)


def answers_of(
    groups: list[TrainingGroup], population: Population, train: Samples, valid: Samples | None
) -> Answers:
    """What a member's best parameters answer to all training or validation samples."""

    def answers(member: int, of_valid: bool) -> Any:
        samples = valid if of_valid else train
        assert samples is not None
        best = assembled(population, groups, "best").member(member)
        return answer(best, samples)

    return answers


def answer(member: Any, samples: Samples) -> Any:
    """A member's answers to all samples, on the host."""
    order = in_order(samples.count, _ROWS)
    parts = [_answer(member, jax.tree.map(lambda a, r=rows: a[r], samples)) for rows in order.rows]
    kept = order.weights.ravel() > 0
    return jax.tree.map(lambda *own: np.concatenate([np.asarray(p) for p in own])[kept], *parts)


@eqx.filter_jit
def _answer(member: Any, batch: Samples) -> Any:
    x = jnp.asarray(batch.x)
    return member(x, batch.timespans, mask=batch.mask, key=None)
