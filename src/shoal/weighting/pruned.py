"""Pruned: the smallest crowd that keeps the score; those that stay count the same.

Members leave one by one, each time the one without which the crowd's validation loss is least, as
long as the loss stays within `tolerance` of the best seen on the way. Backward elimination; compare
Martínez-Muñoz, Hernández-Lobato & Suárez, "An analysis of ensemble pruning techniques", 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from shoal.weighting.evidence import Evidence, check_count, crowd_loss, needed, not_fitted


@dataclass(frozen=True)
class Pruned:
    """w_i = 1/m of the m members that stay.

    Args:
        tolerance: how much worse than the best, relative to it, a smaller crowd may be.
        kept: 1 for the members that stay, filled in by `fit`.

    >>> y = np.arange(4.0)[:, None]
    >>> predictions = np.stack([y + 1, y - 1, y + 9])
    >>> Pruned().fit(Evidence(np.ones(3), predictions, y)).weights(3)
    array([0.5, 0.5, 0. ])
    """

    tolerance: float = 0.0
    kept: tuple[int, ...] | None = None
    kind: ClassVar[str] = "pruned"
    learns: ClassVar[str] = "predictions"

    def __post_init__(self):
        if not 0 <= self.tolerance < float("inf"):
            raise ValueError(f"`tolerance` of pruned must be at least 0, got {self.tolerance!r}")

    def fit(self, evidence: Evidence) -> Pruned:
        predictions, y, known = needed(self.kind, evidence)
        kept = np.ones(len(evidence.losses), bool)
        path = [(crowd_loss(predictions, kept / kept.sum(), y, known), kept)]
        while kept.sum() > 1:
            tried = []
            for i in np.flatnonzero(kept):
                without = kept.copy()
                without[i] = False
                tried.append((crowd_loss(predictions, without / without.sum(), y, known), without))
            loss, kept = min(tried, key=lambda one: one[0])
            path.append((loss, kept))
        best = min(loss for loss, _ in path)
        enough = [k for loss, k in path if loss <= best + self.tolerance * abs(best)]
        return replace(self, kept=tuple(int(k) for k in enough[-1]))

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> np.ndarray:
        if self.kept is None:
            raise not_fitted(self.kind)
        a = check_count(self.kind, self.kept, n_models)
        return a / a.sum()

    def select(self, indices: Sequence[int]) -> Pruned:
        if self.kept is None:
            return self
        return replace(self, kept=tuple(self.kept[i] for i in indices))

    def to_dict(self) -> dict[str, Any]:
        kept = None if self.kept is None else list(self.kept)
        return {"kind": self.kind, "tolerance": self.tolerance, "kept": kept}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Pruned:
        kept = given.get("kept")
        return cls(float(given.get("tolerance", 0.0)), None if kept is None else tuple(kept))
