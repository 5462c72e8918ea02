"""Softmax of losses: w_i ∝ exp(−L_i/T) of the members' validation losses.

Takes losses of any sign, such as negative log-likelihoods. A member without a finite loss counts
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from shoal.weighting.evidence import Evidence, check_count, finite_losses, not_fitted


@dataclass(frozen=True)
class SoftmaxLoss:
    """w_i ∝ exp(−L_i/temperature).

    Args:
        temperature: T > 0, in the unit of the losses; a large one tends to uniform weights.
        losses: of the validation data; filled in by `fit`.

    >>> import numpy as np
    >>> SoftmaxLoss().fit(Evidence(np.array([-1.0, -1.0, np.nan]))).weights(3)
    array([0.5, 0.5, 0. ])
    """

    temperature: float = 1.0
    losses: tuple[float | None, ...] | None = None
    kind: ClassVar[str] = "softmax_loss"
    learns: ClassVar[str] = "losses"

    def __post_init__(self):
        if not self.temperature > 0:
            raise ValueError(
                f"`temperature` of SoftmaxLoss must be positive, got {self.temperature!r}"
            )

    def fit(self, evidence: Evidence) -> SoftmaxLoss:
        losses = finite_losses(self.kind, evidence.losses)
        return replace(self, losses=tuple(float(v) if np.isfinite(v) else None for v in losses))

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> np.ndarray:
        if self.losses is None:
            raise not_fitted(self.kind)
        losses = np.array([np.inf if v is None else v for v in self.losses])
        a = check_count(self.kind, np.exp((losses.min() - losses) / self.temperature), n_models)
        return a / a.sum()

    def select(self, indices: Sequence[int]) -> SoftmaxLoss:
        if self.losses is None:
            return self
        return replace(self, losses=tuple(self.losses[i] for i in indices))

    def to_dict(self) -> dict[str, Any]:
        losses = None if self.losses is None else list(self.losses)
        return {"kind": self.kind, "temperature": self.temperature, "losses": losses}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> SoftmaxLoss:
        losses = given.get("losses")
        return cls(float(given.get("temperature", 1.0)), None if losses is None else tuple(losses))
