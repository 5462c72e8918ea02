"""Negative correlation: Σ_i [ℓ(f_i, y) − λ·(f_i − f̄)²], where no gradient flows through f̄.

λ = 0 is independent training, λ = 1 (with the squared error) has the gradient of joint training.
Source: Liu & Yao, Neural Networks 12, 1999.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from shoal.population.coupling import Coupling
from shoal.population.regimes.plan import Plan
from shoal.population.samples import Samples


@dataclass(frozen=True)
class NegativeCorrelation:
    """A reward for standing apart from the crowd.

    Args:
        weight: λ in [0, 1].

    Raises:
        ValueError: beyond 1 the reward outgrows the error, and members run away.
    """

    weight: float = 0.1
    kind: ClassVar[str] = "negative_correlation"

    def __post_init__(self):
        if not 0 <= self.weight <= 1:
            raise ValueError(
                f"`weight` of negative_correlation must lie in [0, 1], got {self.weight}; beyond 1 "
                "members gain more by running away than they lose in error"
            )

    def plan(
        self, n_models: int, seeds: Sequence[int], train: Samples, valid: Samples | None
    ) -> Plan:
        return Plan(coupling=Coupling("negative_correlation", self.weight))
