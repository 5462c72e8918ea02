"""Snapshots: one network, led from valley to valley; where it rests it leaves a member.

The learning rate falls along half a cosine in each cycle and starts high again in the next; member
c is the network at the end of cycle c, so that n members cost what n short trainings cost and share
what was learned before. Source: Huang et al., "Snapshot ensembles: train 1, get M for free", 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shoal.population.regimes.plan import Answers, Changes, Plan
from shoal.population.samples import Samples


@dataclass(frozen=True)
class Snapshot:
    """A cycle per member; `epochs` are those of one cycle, and `schedule` should be "cosine"."""

    kind: ClassVar[str] = "snapshot"

    def plan(
        self, n_models: int, seeds: Sequence[int], train: Samples, valid: Samples | None
    ) -> Plan:
        return Plan(stages=_Cycles(n_models))


@dataclass
class _Cycles:
    count: int

    def active(self, stage: int) -> np.ndarray:
        return np.arange(self.count) == stage

    def begin(self, stage: int, answers: Answers) -> Changes:
        return Changes(copies=(stage - 1, stage) if stage else None)

    def finish(self, answers: Answers) -> None:
        return None
