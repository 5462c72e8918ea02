"""Fixed: weights written down by the user, w_i = a_i / Σ_j a_j."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shoal.weighting.evidence import Evidence, check_count, numbers_of


@dataclass(frozen=True)
class Fixed:
    """w_i = a_i / Σ a_j of the numbers given.

    Args:
        values: one number ≥ 0 per member, at least one above 0.

    Raises:
        ValueError: a weight is negative or not finite, or all are 0.

    >>> Fixed([1, 3]).weights(2)
    array([0.25, 0.75])
    """

    values: tuple[float, ...]
    kind: ClassVar[str] = "fixed"
    learns: ClassVar[str] = "nothing"

    def __init__(self, values: Sequence[float]):
        object.__setattr__(self, "values", numbers_of(self.kind, values))
        a = np.asarray(self.values)
        if not (np.isfinite(a).all() and (a >= 0).all() and a.sum() > 0):
            raise ValueError(
                "weights of 'fixed' must be finite, at least 0 and not all 0, "
                f"got {list(self.values)}"
            )

    @property
    def members(self) -> int:
        return len(self.values)

    def fit(self, evidence: Evidence) -> Fixed:
        return self

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> np.ndarray:
        a = check_count(self.kind, self.values, n_models)
        return a / a.sum()

    def select(self, indices: Sequence[int]) -> Fixed:
        return Fixed([self.values[i] for i in indices])

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "weights": list(self.values)}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Fixed:
        return cls(given["weights"])
