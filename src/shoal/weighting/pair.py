"""Pair: a member for short gaps, a member for long ones, and a threshold between.

w_long = [Δt ≥ threshold], or σ((Δt − threshold)/width) for a smooth switch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shoal.equations.namespaces import flags, floats, namespace
from shoal.equations.weights import ELAPSED, elapsed_of, of_pair
from shoal.weighting.evidence import Evidence


@dataclass(frozen=True)
class Pair:
    """The first of two members answers after short gaps, the second after long ones.

    Args:
        threshold: elapsed time from which the second one answers.
        width: of a smooth switch, in the same unit; 0 switches at once.
        of: which elapsed time of a sample: its "last", their "sum" or "mean".

    >>> Pair().weights(2, timespans=np.array([[2.0], [40.0]])).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    threshold: float = 10.0
    width: float = 0.0
    of: str = "last"
    kind: ClassVar[str] = "pair"

    def __post_init__(self):
        for name in ("threshold", "width"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"`{name}` of pair must be at least 0, got {getattr(self, name)}")
        if self.of not in ELAPSED:
            raise ValueError(f"`of` must be one of {', '.join(ELAPSED)}, got {self.of!r}")

    def fit(self, evidence: Evidence) -> Pair:
        return self

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> np.ndarray:
        if n_models != 2:
            raise ValueError(
                f"weighting 'pair' is for two members, one for short gaps and one for long; "
                f"there are {n_models}: use 'time_table'"
            )
        if timespans is None:
            raise ValueError("weighting 'pair' depends on elapsed time; give `timespans`")
        timespans = floats(timespans)
        xp = namespace(timespans)
        elapsed = elapsed_of(xp, timespans, flags(mask, timespans), self.of)
        return of_pair(xp, elapsed, self.threshold, self.width)

    def select(self, indices: Sequence[int]) -> Any:
        from shoal.weighting.uniform import Uniform

        return self if list(indices) == [0, 1] else Uniform()

    def to_dict(self) -> dict[str, Any]:
        names = ("threshold", "width", "of")
        return {"kind": self.kind, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Pair:
        return cls(**{name: value for name, value in given.items() if name != "kind"})
