"""Hard vote: each member has one vote, for its most probable class; ties go to the lower number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shoal.equations.pooling import Pool
from shoal.weighting.evidence import Evidence


@dataclass(frozen=True)
class HardVote:
    """w_i = 1/n of votes; for classes only. `.probabilities` are the shares of the votes.

    >>> HardVote().weights(2), HardVote().pool.kind
    (array([0.5, 0.5]), 'vote')
    """

    kind: ClassVar[str] = "hard_vote"
    learns: ClassVar[str] = "nothing"

    @property
    def pool(self) -> Pool:
        return Pool("vote")

    def fit(self, evidence: Evidence) -> HardVote:
        return self

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> np.ndarray:
        return np.full(n_models, 1.0 / n_models)

    def select(self, indices: Sequence[int]) -> HardVote:
        return self

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> HardVote:
        return cls()
