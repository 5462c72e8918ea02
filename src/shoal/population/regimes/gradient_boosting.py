"""Gradient boosting: every member learns what those before it left over, F ← F + ν·ρ·f.

Members train one after the other, each on the residuals of the sum so far, of the validation
samples too, so that each stops where *its* part generalises. They are parts of one answer, not
opinions: their sum has no spread, and intervals need calibration. The mathematics and its sources
are in `shoal.equations.boosting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from shoal.equations import boosting
from shoal.equations.outputs import Categorical, Normal
from shoal.population.regimes.plan import Answers, Changes, Plan
from shoal.population.regimes.targets import observed
from shoal.population.samples import Samples


@dataclass(frozen=True)
class GradientBoosting:
    """A sum of members.

    Args:
        shrinkage: ν in (0, 1]; 1 for a few strong members, less for many weak ones.
    """

    shrinkage: float = 1.0
    kind: ClassVar[str] = "gradient_boosting"

    def __post_init__(self):
        if not 0 < self.shrinkage <= 1:
            raise ValueError(
                f"`shrinkage` of gradient_boosting must lie in (0, 1], got {self.shrinkage}"
            )

    def plan(
        self, n_models: int, seeds: Sequence[int], train: Samples, valid: Samples | None
    ) -> Plan:
        return Plan(stages=_Sum(n_models, self.shrinkage, train, valid), loss="residual")


@dataclass
class _Sum:
    count: int
    shrinkage: float
    train: Samples
    valid: Samples | None
    steps: list[float] = field(default_factory=list)
    intercept: np.ndarray = field(default_factory=lambda: np.zeros(()))
    sums: list[np.ndarray] = field(default_factory=list)  # F of training and validation samples

    @property
    def classes(self) -> bool:
        return np.issubdtype(np.asarray(self.train.y).dtype, np.integer)

    def active(self, stage: int) -> np.ndarray:
        return np.arange(self.count) == stage

    def begin(self, stage: int, answers: Answers) -> Changes:
        if stage == 0:
            self._start(answers)
        else:
            self._add(stage - 1, answers)
        found = [self._residuals(samples, f) for samples, f in self._blocks()]
        targets = [self._of_stage(stage, residuals) for residuals in found]
        return Changes(targets=targets[0], valid_targets=targets[1] if len(targets) > 1 else None)

    def finish(self, answers: Answers) -> dict[str, Any]:
        while len(self.steps) < self.count:
            self._add(len(self.steps), answers)
        intercept = self.intercept.tolist()
        return {"kind": "pooled", "pool": "sum", "weights": self.steps, "intercept": intercept}

    def _blocks(self) -> list[tuple[Samples, np.ndarray]]:
        blocks = [self.train] if self.valid is None else [self.train, self.valid]
        return list(zip(blocks, self.sums, strict=True))

    def _start(self, answers: Answers) -> None:
        """The best constant: the mean, or the classes' log frequencies."""
        y, shape = np.asarray(self.train.y), np.shape(self._numbers(answers(0, False)))[1:]
        if self.classes:
            counts = np.array([(y == k).sum() for k in range(shape[-1])], float)
            self.intercept = np.log(np.maximum(counts, 0.5) / len(y))
        else:
            seen = observed(self.train).reshape(y.shape)
            self.intercept = (y * seen).sum(0) / np.maximum(seen.sum(0), 1)
        blocks = [self.train] if self.valid is None else [self.train, self.valid]
        self.sums = [np.broadcast_to(self.intercept, (b.count, *shape)).copy() for b in blocks]

    def _add(self, member: int, answers: Answers) -> None:
        parts = [self._numbers(answers(member, bool(i))) for i in range(len(self.sums))]
        y, total, part = np.asarray(self.train.y), self.sums[0], parts[0]
        if self.classes:
            step = boosting.best_class_step(y, total, part, np.ones(len(y)))
        else:
            seen = observed(self.train).reshape(y.shape)
            step = boosting.best_step(y - total, part, seen.astype(float))
        step *= self.shrinkage
        self.steps.append(step)
        self.sums = [f + step * part for f, part in zip(self.sums, parts, strict=True)]

    def _residuals(self, samples: Samples, total: np.ndarray) -> np.ndarray:
        y = np.asarray(samples.y)
        return boosting.class_residuals(y, total) if self.classes else y - total

    def _of_stage(self, stage: int, residuals: np.ndarray) -> np.ndarray:
        targets = np.zeros((self.count, *residuals.shape), np.float32)
        targets[stage] = residuals
        return targets

    @staticmethod
    def _numbers(answer: Any) -> np.ndarray:
        if isinstance(answer, Normal):
            raise ValueError(
                "gradient_boosting adds up numbers; members answered normal distributions: use "
                "likelihood 'point'"
            )
        return np.asarray(answer.logits if isinstance(answer, Categorical) else answer, float)
