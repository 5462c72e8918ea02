"""Correlation penalty: Σ_i ℓ(f_i, y) + λ·n·mean_{i<j} ρ_ij, ρ_ij that of errors in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from shoal.population.coupling import Coupling
from shoal.population.regimes.plan import Plan
from shoal.population.samples import Samples


@dataclass(frozen=True)
class Correlation:
    """A price on errors that go together.

    Args:
        weight: λ ≥ 0, in the unit of the loss.
    """

    weight: float = 0.1
    kind: ClassVar[str] = "correlation"

    def __post_init__(self):
        if not 0 <= self.weight < float("inf"):
            raise ValueError(f"`weight` of correlation must be at least 0, got {self.weight}")

    def plan(
        self, n_models: int, seeds: Sequence[int], train: Samples, valid: Samples | None
    ) -> Plan:
        return Plan(coupling=Coupling("correlation", self.weight))
