"""Halving as a stopping rule inside the one training: survivors move together, the rest is freed.

    rungs   r, r·η, r·η², …          epochs after which trials are compared
    a trial goes on  ⇔  its score is among the best ⌈n/η⌉ of the n that reached the rung

A trial's score is the mean over its members of their best loss so far. Synchronous halving compares
the trials of one training. ASHA also counts what earlier trials had reached at the rung, whichever
batch or worker trained them. Sources: Jamieson & Talwalkar, "Non-stochastic best arm identification
and hyperparameter optimization", AISTATS 2016; Li et al., "A system for massively parallel
hyperparameter tuning", MLSys 2020.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shoal.population.stopping import ACTIVE, EARLY, Ledger


@dataclass(frozen=True)
class Halving:
    """The rule, and what earlier trials had reached.

    Args:
        rungs: the epochs, counted from 1, after which trials are compared.
        eta: one of so many goes on.
        owner: the trial of each member; None where every member is a trial.
        before: scores of earlier trials at a rung.

    >>> ledger = Ledger.start(4)
    >>> ledger.best_loss[:] = [3.0, 1.0, 2.0, 4.0]
    >>> [member for member, _ in Halving((2,), eta=2).ends(ledger, epoch=1)]
    [0, 3]
    """

    rungs: tuple[int, ...]
    eta: int = 3
    owner: tuple[int, ...] | None = None
    before: Mapping[int, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self):
        if self.eta < 2:
            raise ValueError(f"`eta` must be at least 2, got {self.eta}")

    def part(self, places: Iterable[int]) -> Halving:
        """The rule for some of the candidates: it compares whoever is there."""
        return self

    def ends(self, ledger: Ledger, epoch: int) -> Iterable[tuple[int, str]]:
        """The members of the trials that do not go on."""
        if epoch + 1 not in self.rungs:
            return []
        owner = np.arange(len(ledger.code)) if self.owner is None else np.array(self.owner)
        running = np.isin(ledger.code, (ACTIVE, EARLY))
        there = [t for t in np.unique(owner) if running[owner == t].all()]
        scores = trial_scores(np.fmin(ledger.best_loss, ledger.last_loss), owner)
        earlier = self.before.get(epoch + 1, ())
        late = {there[i] for i in beaten([float(scores[t]) for t in there], earlier, self.eta)}
        reason = f"not among the best 1/{self.eta} after {epoch + 1} epochs"
        own = [int(m) for m in np.flatnonzero(ledger.active) if int(owner[m]) in late]
        return [(member, reason) for member in own]


def beaten(scores: Sequence[float], earlier: Sequence[float], eta: int) -> list[int]:
    """The places of scores that are not among the best of all; of equal ones the first goes on.

    >>> beaten([3.0, 1.0, 2.0], [], eta=3), beaten([1.0, 1.0, 1.0], [0.5], eta=2)
    ([0, 2], [1, 2])
    """
    every = np.array([*earlier, *scores], float)
    kept = -(-len(every) // eta)
    order = np.argsort(every, kind="stable")[kept:]
    return sorted(int(place) - len(earlier) for place in order if place >= len(earlier))


def trial_scores(losses: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """The mean over each trial's members, by the trial's number."""
    count = int(owner.max()) + 1
    sums = np.bincount(owner, weights=losses, minlength=count)
    return sums / np.maximum(np.bincount(owner, minlength=count), 1)


def rungs(epochs: int, eta: int = 3, min_epochs: int | None = None) -> tuple[int, ...]:
    """The rungs of a training: by default the first lies at 1/27 of it, or after one epoch.

    >>> rungs(27), rungs(100, eta=2, min_epochs=20), rungs(1)
    ((1, 3, 9), (20, 40, 80), ())
    """
    rung = max(1, epochs // eta**3) if min_epochs is None else min_epochs
    found = []
    while rung < epochs:
        found.append(rung)
        rung *= eta
    return tuple(found)
