"""Joint: the crowd's own loss, n·ℓ(f̄, y), trains all members at once.

The members share the work rather than repeat it, so each alone may be poor, and their disagreement
says little about what is not known. Source: Webb et al., AISTATS 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from shoal.population.coupling import Coupling
from shoal.population.regimes.plan import Plan
from shoal.population.samples import Samples


@dataclass(frozen=True)
class Joint:
    """One loss of the combined prediction."""

    kind: ClassVar[str] = "joint"

    def plan(
        self, n_models: int, seeds: Sequence[int], train: Samples, valid: Samples | None
    ) -> Plan:
        return Plan(coupling=Coupling("joint"))
