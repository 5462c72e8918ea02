"""Bagging: every member learns from its own bootstrap sample, drawn with replacement.

A sample that was drawn twice counts twice; about 37 % of the samples are left out of each member's
bag, and say how good it is (`shoal.population.out_of_bag`). Besides, every member may see a random
subset of the features. Sources: Breiman, Machine Learning 24, 1996; Ho, "The random subspace method
for constructing decision forests", 1998.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shoal.population.regimes.plan import Plan
from shoal.population.samples import Samples

_STREAM = 0x6261_6767  # keeps bags apart from what else is drawn from a member's seed
_FEATURES = 0x6665_6174


@dataclass(frozen=True)
class Bagging:
    """A bag per member.

    Args:
        fraction: how many samples are drawn, as a share of all; above 0.
        features: how many of the columns of x each member sees, as a share of all, rounded up; in
            (0, 1]. The others are 0 to it, when it is asked as when it learns.
    """

    fraction: float = 1.0
    features: float = 1.0
    kind: ClassVar[str] = "bagging"

    def __post_init__(self):
        if not 0 < self.fraction < float("inf"):
            raise ValueError(f"`fraction` of bagging must be above 0, got {self.fraction}")
        if not 0 < self.features <= 1:
            raise ValueError(f"`features` of bagging must lie in (0, 1], got {self.features}")

    def plan(
        self, n_models: int, seeds: Sequence[int], train: Samples, valid: Samples | None
    ) -> Plan:
        bags = np.stack([bag(seed, train.count, self.fraction) for seed in seeds])
        if self.features == 1:
            return Plan(row_weights=bags)
        columns = train.x.shape[-1]
        return Plan(
            row_weights=bags, features=np.stack([subset(s, columns, self.features) for s in seeds])
        )


def bag(seed: int, rows: int, fraction: float = 1.0) -> np.ndarray:
    """How often each row is in the bag of the member with this seed, (rows,).

    >>> drawn = bag(42, 1000)
    >>> int(drawn.sum()), bool(0.33 < (drawn == 0).mean() < 0.41)
    (1000, True)
    """
    draws = max(1, round(rows * fraction))
    chosen = np.random.default_rng((seed, _STREAM)).integers(0, rows, draws)
    return np.bincount(chosen, minlength=rows).astype(np.float32)


def subset(seed: int, columns: int, share: float) -> np.ndarray:
    """Which columns the member with this seed sees, 1 or 0, (columns,).

    >>> subset(42, 10, 0.7).sum().item(), subset(42, 3, 0.1).sum().item()
    (7.0, 1.0)
    """
    seen = min(columns, max(1, int(np.ceil(round(columns * share, 9)))))
    chosen = np.random.default_rng((seed, _FEATURES)).permutation(columns)[:seen]
    mask = np.zeros(columns, np.float32)
    mask[chosen] = 1.0
    return mask
