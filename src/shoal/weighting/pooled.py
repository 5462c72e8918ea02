"""Pooled: weights that belong to a way of pooling, as boosting and stacking leave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shoal.equations.pooling import KINDS, Pool
from shoal.weighting.evidence import Evidence, check_count, numbers_of


@dataclass(frozen=True)
class Pooled:
    """b + Σ c_i f_i, or whatever `shoal.equations.pooling` knows.

    Args:
        values: one number per member; of either sign for "sum" and "linear".
        how: a kind of pool.
        intercept: b, a number or nested lists of the shape of one answer.

    Raises:
        ValueError: the pool is unknown, or a value is not finite.

    >>> Pooled([0.5, 0.5], "median").weights(2)
    array([0.5, 0.5])
    """

    values: tuple[float, ...]
    how: str = "mixture"
    intercept: Any = 0.0
    kind: ClassVar[str] = "pooled"
    learns: ClassVar[str] = "nothing"

    def __init__(self, values: Sequence[float], how: str = "mixture", intercept: Any = 0.0):
        if how not in KINDS:
            raise ValueError(f"`pool` must be one of {', '.join(KINDS)}, got {how!r}")
        values = numbers_of(self.kind, values)
        if not np.isfinite(values).all():
            raise ValueError(f"`weights` of pooled must be finite, got {list(values)}")
        free = how in ("sum", "linear")
        if not free and (min(values) < 0 or sum(values) <= 0):
            raise ValueError(
                f"`weights` of a {how} must be at least 0 and not all 0, got {list(values)}"
            )
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "how", how)
        object.__setattr__(self, "intercept", _tuples(intercept))

    @property
    def members(self) -> int:
        return len(self.values)

    @property
    def pool(self) -> Pool:
        return Pool(self.how, np.asarray(self.intercept, float))

    def fit(self, evidence: Evidence) -> Pooled:
        return self

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> np.ndarray:
        a = check_count(self.kind, self.values, n_models)
        return a if self.how in ("sum", "linear") else a / a.sum()

    def select(self, indices: Sequence[int]) -> Pooled:
        return Pooled([self.values[i] for i in indices], self.how, self.intercept)

    def to_dict(self) -> dict[str, Any]:
        intercept = np.asarray(self.intercept, float).tolist()
        return {
            "kind": self.kind,
            "pool": self.how,
            "weights": list(self.values),
            "intercept": intercept,
        }

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Pooled:
        return cls(given["weights"], given.get("pool", "mixture"), given.get("intercept", 0.0))


def _tuples(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else float(value)
