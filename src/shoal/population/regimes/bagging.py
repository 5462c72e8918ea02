"""Bagging: every member learns from its own bootstrap sample, drawn with replacement.

A sample that was drawn twice counts twice; about 37 % of the samples are left out of each member's
bag. Source: Breiman, Machine Learning 24, 1996.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shoal.population.regimes.plan import Plan
from shoal.population.samples import Samples

_STREAM = 0x6261_6767  # keeps bags apart from what else is drawn from a member's seed


@dataclass(frozen=True)
class Bagging:
    """A bag per member.

    Args:
        fraction: how many samples are drawn, as a share of all; above 0.
    """

    fraction: float = 1.0
    kind: ClassVar[str] = "bagging"

    def __post_init__(self):
        if not 0 < self.fraction < float("inf"):
            raise ValueError(f"`fraction` of bagging must be above 0, got {self.fraction}")

    def plan(
        self, n_models: int, seeds: Sequence[int], train: Samples, valid: Samples | None
    ) -> Plan:
        return Plan(row_weights=np.stack([bag(seed, train.count, self.fraction) for seed in seeds]))


def bag(seed: int, rows: int, fraction: float = 1.0) -> np.ndarray:
    """How often each row is in the bag of the member with this seed, (rows,).

    >>> drawn = bag(42, 1000)
    >>> int(drawn.sum()), bool(0.33 < (drawn == 0).mean() < 0.41)
    (1000, True)
    """
    draws = max(1, round(rows * fraction))
    chosen = np.random.default_rng((seed, _STREAM)).integers(0, rows, draws)
    return np.bincount(chosen, minlength=rows).astype(np.float32)
