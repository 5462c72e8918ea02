"""Learned: w = softmax(θ), θ chosen on validation data to make the crowd's own loss small.

Starts uniform, and is pulled back to it: the loss is the crowd's plus `strength`·|θ − mean θ|²/n,
so that few rows do not crown a single member by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from shoal.equations.combine import softmax
from shoal.equations.namespaces import namespace
from shoal.weighting.evidence import Evidence, check_count, crowd_loss, needed, not_fitted


@dataclass(frozen=True)
class Learned:
    """w = softmax(θ).

    Args:
        strength: of the pull to uniform weights, in units of the uniform crowd's loss.
        logits: θ, filled in by `fit`; a tensor where θ is trained by gradients, as in
            `shoal.torch.Collective`.

    >>> y = np.arange(4.0)[:, None]
    >>> predictions = np.stack([y + 1, y - 3])
    >>> found = Learned(strength=0.0).fit(Evidence(np.ones(2), predictions, y))
    >>> found.weights(2).round(2)
    array([0.75, 0.25])
    """

    strength: float = 0.01
    logits: Any = None
    kind: ClassVar[str] = "learned"
    learns: ClassVar[str] = "predictions"

    def __post_init__(self):
        if not self.strength >= 0:
            raise ValueError(f"`strength` of learned must be at least 0, got {self.strength!r}")

    def fit(self, evidence: Evidence) -> Learned:
        from scipy.optimize import minimize

        predictions, y, known = needed(self.kind, evidence)
        n = len(evidence.losses)
        uniform = crowd_loss(predictions, np.full(n, 1.0 / n), y, known)
        unit = max(abs(uniform), 1e-12)

        def objective(theta: np.ndarray) -> float:
            pull = self.strength * ((theta - theta.mean()) ** 2).mean()
            return crowd_loss(predictions, softmax(np, theta), y, known) / unit + pull

        found = minimize(objective, np.zeros(n), method="L-BFGS-B", bounds=[(-30, 30)] * n)
        logits = found.x - found.x.max()
        return replace(self, logits=tuple(logits.tolist()))

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> Any:
        if self.logits is None:
            raise not_fitted(self.kind)
        xp = namespace(self.logits)
        logits = check_count(self.kind, self.logits, n_models) if xp is np else self.logits
        return softmax(xp, logits)

    def select(self, indices: Sequence[int]) -> Learned:
        if self.logits is None:
            return self
        return replace(self, logits=tuple(self.logits[i] for i in indices))

    def to_dict(self) -> dict[str, Any]:
        logits = None if self.logits is None else list(self.logits)
        return {"kind": self.kind, "strength": self.strength, "logits": logits}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Learned:
        logits = given.get("logits")
        return cls(float(given.get("strength", 0.01)), None if logits is None else tuple(logits))
