"""AdaBoost: every member looks harder at what those before it got wrong.

Members train one after the other; the samples' weights grow where the last one erred. Classes are
boosted by SAMME and vote; real targets by R2 and are pooled by the weighted median. A member that
is no better than chance ends the training: it and those after it say nothing. The mathematics and
its sources are in `shoal.equations.boosting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from shoal.equations import boosting
from shoal.equations.losses import point
from shoal.equations.outputs import Categorical
from shoal.population.regimes.plan import Answers, Changes, Plan
from shoal.population.regimes.targets import observed
from shoal.population.samples import Samples


@dataclass(frozen=True)
class AdaBoost:
    """SAMME for classes, R2 for real targets."""

    kind: ClassVar[str] = "adaboost"

    def plan(
        self, n_models: int, seeds: Sequence[int], train: Samples, valid: Samples | None
    ) -> Plan:
        return Plan(stages=_Rounds(n_models, train))


@dataclass
class _Rounds:
    count: int
    train: Samples
    says: list[float] = field(default_factory=list)
    weights: np.ndarray = field(init=False)
    pool: str = "median"

    def __post_init__(self):
        self.weights = observed(self.train).any(axis=-1).astype(float)

    def active(self, stage: int) -> np.ndarray:
        return np.arange(self.count) == stage

    def begin(self, stage: int, answers: Answers) -> Changes | None:
        if stage and not self._judge(stage - 1, answers):
            return None
        share = self.weights * (len(self.weights) / self.weights.sum())
        weights = np.zeros((self.count, len(share)), np.float32)
        weights[stage] = share
        return Changes(row_weights=weights)

    def finish(self, answers: Answers) -> dict[str, Any]:
        if len(self.says) < self.count:
            self._judge(len(self.says), answers)
        says = np.zeros(self.count)
        says[: len(self.says)] = self.says
        if not says.any():
            says[0] = 1.0  # nobody is better than chance: the first alone
        return {"kind": "pooled", "pool": self.pool, "weights": (says / says.sum()).tolist()}

    def _judge(self, member: int, answers: Answers) -> bool:
        """Enters what a member got right; whether it was better than chance."""
        if self.says and self.says[-1] == 0.0:
            return False
        answer, y = answers(member, False), self.train.y
        if isinstance(answer, Categorical):
            self.pool = "vote"
            miss = (answer.logits.argmax(-1) != y).astype(float)
            found = boosting.samme(self.weights, miss, answer.logits.shape[-1])
        else:
            errors = np.abs(point(answer) - y).reshape(len(y), -1)
            seen = observed(self.train)
            errors = (errors * seen).sum(-1) / np.maximum(seen.sum(-1), 1)
            found = boosting.r2(self.weights, errors)
        self.says.append(found.say or 0.0)
        self.weights = found.weights
        return found.say is not None
