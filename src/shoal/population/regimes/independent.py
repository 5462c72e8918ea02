"""Independent: every member by itself, on all samples; a deep ensemble.

Source: Lakshminarayanan, Pritzel & Blundell, NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from shoal.population.regimes.plan import Plan
from shoal.population.samples import Samples


@dataclass(frozen=True)
class Independent:
    """Members differ by their seeds alone."""

    kind: ClassVar[str] = "independent"

    def plan(
        self, n_models: int, seeds: Sequence[int], train: Samples, valid: Samples | None
    ) -> Plan:
        return Plan()
