"""Confidence: who is surer of this row counts more, w_i(x) ∝ c_i(x).

Of classes c is the greatest probability, or 1 − H(p)/ln K; of normal answers the mean over outputs
of 1/σ². Members that answer points say nothing of how sure they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shoal.equations.combine import softmax
from shoal.equations.namespaces import namespace
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.voting import CONFIDENCES, confidence, weights_of
from shoal.weighting.evidence import Evidence


@dataclass(frozen=True)
class Confidence:
    """w_i(x) ∝ c_i(x)^power.

    Args:
        of: "probability" or "entropy", for classes.
        power: above 0; more gives the surest more.

    >>> from shoal.equations.outputs import Normal
    >>> sure = Normal(np.zeros((2, 1, 1)), np.array([[[1.0]], [[2.0]]]))
    >>> Confidence().weights(2, outputs=sure).tolist()
    [[0.8], [0.2]]
    """

    of: str = "probability"
    power: float = 1.0
    kind: ClassVar[str] = "confidence"
    learns: ClassVar[str] = "nothing"

    def __post_init__(self):
        if self.of not in CONFIDENCES:
            raise ValueError(f"`of` must be one of {', '.join(CONFIDENCES)}, got {self.of!r}")
        if not self.power > 0:
            raise ValueError(f"`power` of Confidence must be positive, got {self.power!r}")

    def fit(self, evidence: Evidence) -> Confidence:
        return self

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> np.ndarray:
        return weights_of(namespace(outputs), self._confidence(outputs) ** self.power)

    def _confidence(self, outputs: Any) -> Any:
        xp = namespace(outputs)
        if isinstance(outputs, Categorical):
            return confidence(xp, softmax(xp, outputs.logits), self.of)
        if isinstance(outputs, Normal):
            precision = 1.0 / outputs.std**2
            return precision.reshape(*precision.shape[:2], -1).mean(-1)
        raise ValueError(
            "weighting 'confidence' needs members that say how sure they are: classes, or "
            "likelihood 'normal'; they answered points"
        )

    def select(self, indices: Sequence[int]) -> Confidence:
        return self

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "of": self.of, "power": self.power}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Confidence:
        return cls(given.get("of", "probability"), float(given.get("power", 1.0)))
