"""Inverse loss: w_i ∝ L_i^−p of the members' validation losses.

With mean squared errors and p = 1 these are the weights of least variance for unbiased members with
independent errors (Bates & Granger 1969). A member without a finite loss counts nothing; one
whose loss is 0 counts all, the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from shoal.weighting.evidence import Evidence, check_count, finite_losses, not_fitted


@dataclass(frozen=True)
class InverseLoss:
    """w_i ∝ L_i^−power.

    Args:
        power: p > 0; 0 would be uniform.
        losses: of the validation data, at least 0; filled in by `fit`.

    >>> import numpy as np
    >>> InverseLoss().fit(Evidence(np.array([1.0, 3.0, np.nan]))).weights(3)
    array([0.75, 0.25, 0.  ])
    """

    power: float = 1.0
    losses: tuple[float | None, ...] | None = None
    kind: ClassVar[str] = "inverse_loss"
    learns: ClassVar[str] = "losses"

    def __post_init__(self):
        if not self.power > 0:
            raise ValueError(f"`power` of InverseLoss must be positive, got {self.power!r}")

    def fit(self, evidence: Evidence) -> InverseLoss:
        losses = finite_losses(self.kind, evidence.losses)
        if not (losses >= 0).all():
            raise ValueError(
                "weighting 'inverse_loss' needs losses that are at least 0, "
                f"found {losses.min()}; use 'softmax_loss', which takes any"
            )
        return replace(self, losses=tuple(float(v) if np.isfinite(v) else None for v in losses))

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> np.ndarray:
        if self.losses is None:
            raise not_fitted(self.kind)
        losses = np.array([np.inf if v is None else v for v in self.losses])
        perfect = losses == 0
        ratios = perfect if perfect.any() else (losses.min() / losses) ** self.power
        a = check_count(self.kind, ratios, n_models)
        return a / a.sum()

    def select(self, indices: Sequence[int]) -> InverseLoss:
        if self.losses is None:
            return self
        return replace(self, losses=tuple(self.losses[i] for i in indices))

    def to_dict(self) -> dict[str, Any]:
        losses = None if self.losses is None else list(self.losses)
        return {"kind": self.kind, "power": self.power, "losses": losses}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> InverseLoss:
        losses = given.get("losses")
        return cls(float(given.get("power", 1.0)), None if losses is None else tuple(losses))
