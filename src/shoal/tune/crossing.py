"""Cross-validation inside a trial: a copy of its members for every fold, all in one training.

Copies differ in which rows count for them, 0 or 1, so that folds × trials are one population. What
chooses a member's best epoch are the validation rows (the training loss where there are none); what
the trial is scored by are the rows that each copy was trained without. Folds are cut and checked
for leaks by `shoal.data.folds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shoal.data.folds import Fold, make_folds
from shoal.population import Population
from shoal.population.regimes.plan import Plan
from shoal.tune.scoring import Rows


@dataclass(frozen=True)
class Counting:
    """A regime whose members each learn from the rows that count for them."""

    counts: Any  # (members, rows)
    kind: ClassVar[str] = "counting"

    def plan(self, n_models: int, seeds: Sequence[int], train: Any, valid: Any) -> Plan:
        return Plan(row_weights=self.counts)


@dataclass(frozen=True)
class Crossed:
    """The folds of so many training rows."""

    folds: tuple[Fold, ...]
    rows: int

    def copied(
        self, population: Population, owner: tuple[int, ...], given: dict[str, np.ndarray]
    ) -> tuple[Population, tuple[int, ...], dict[str, Any]]:
        """A copy of everything for each fold, the first fold's first, and who learns from what."""
        count, k = len(population), len(self.folds)
        copies = population.select(list(range(count)) * k)
        options = {name: np.tile(values, k) for name, values in given.items()}
        return copies, owner * k, {**options, "regime": Counting(self.counts(count))}

    def counts(self, members: int) -> np.ndarray:
        """(folds × members, rows): 1 where a row is learned from."""
        counts = np.zeros((len(self.folds), self.rows), np.float32)
        for own, fold in zip(counts, self.folds, strict=True):
            own[fold.train] = 1.0
        return np.repeat(counts, members, axis=0)


def cross(rows: Rows, folds: Any = 5, **options: Any) -> Crossed:
    """The folds of the training rows, as `shoal.data.folds.make_folds` cuts them.

    Raises:
        ValueError: too few rows, or folds that leak.

    >>> from shoal.tune.scoring import Rows
    >>> rows = Rows((np.zeros((6, 1)), np.zeros((6, 1))))
    >>> cross(rows, 2, order="time").counts(1).tolist()
    [[1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]]
    """
    train = rows.raw("train")
    return Crossed(make_folds(train, folds, **options), len(train.x))
