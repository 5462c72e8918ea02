"""Uniform: every member counts the same, w_i = 1/n."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shoal.weighting.evidence import Evidence


@dataclass(frozen=True)
class Uniform:
    """w_i = 1/n.

    >>> Uniform().weights(4)
    array([0.25, 0.25, 0.25, 0.25])
    """

    kind: ClassVar[str] = "uniform"
    learns: ClassVar[str] = "nothing"

    def fit(self, evidence: Evidence) -> Uniform:
        return self

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> np.ndarray:
        return np.full(n_models, 1.0 / n_models)

    def select(self, indices: Sequence[int]) -> Uniform:
        return self

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Uniform:
        return cls()
