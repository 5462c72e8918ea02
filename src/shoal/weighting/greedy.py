"""Greedy selection: members are added, again and again, wherever the crowd's loss falls most.

Starts from the best few, adds with replacement, and keeps the best prefix; repeated on random
halves of the library of members ("bags") it overfits the validation data less. The weights are how
often each was chosen. Source: Caruana, Niculescu-Mizil, Crew & Ksikes, "Ensemble selection from
libraries of models", ICML 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from shoal.weighting.evidence import Evidence, check_count, crowd_loss, needed, not_fitted


@dataclass(frozen=True)
class Greedy:
    """w_i = how often member i was chosen.

    Args:
        rounds: how many are added at most.
        start: how many of the best begin.
        bags: how many random halves of the members are tried besides; 0 takes all members once.
        seed: of the halves.
        counts: what `fit` found.

    >>> y = np.arange(4.0)[:, None]
    >>> predictions = np.stack([y + 1, y - 1, y + 9])
    >>> Greedy().fit(Evidence(np.ones(3), predictions, y)).weights(3)
    array([0.5, 0.5, 0. ])
    """

    rounds: int = 50
    start: int = 1
    bags: int = 0
    seed: int = 0
    counts: tuple[float, ...] | None = None
    kind: ClassVar[str] = "greedy"
    learns: ClassVar[str] = "predictions"

    def __post_init__(self):
        for name, least in (("rounds", 1), ("start", 1), ("bags", 0)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"`{name}` of greedy must be at least {least}, got {getattr(self, name)}"
                )

    def fit(self, evidence: Evidence) -> Greedy:
        predictions, y, known = needed(self.kind, evidence)
        n = len(evidence.losses)
        rng = np.random.default_rng(self.seed)
        half = max(1, -(-n // 2))
        bags = [np.sort(rng.choice(n, half, replace=False)) for _ in range(self.bags)]
        total = np.zeros(n)
        for members in bags or [np.arange(n)]:
            counts = self._select(members, n, lambda w: crowd_loss(predictions, w, y, known))
            total += counts / counts.sum()
        return replace(self, counts=tuple((total / total.sum()).tolist()))

    def _select(self, members: np.ndarray, n: int, loss) -> np.ndarray:
        alone = [loss(np.eye(n)[i]) for i in members]
        counts = np.zeros(n)
        counts[members[np.argsort(alone)[: self.start]]] = 1.0
        best, best_loss = counts.copy(), loss(counts / counts.sum())
        for _ in range(self.rounds):
            tried = [counts + np.eye(n)[i] for i in members]
            found = [loss(t / t.sum()) for t in tried]
            counts = tried[int(np.argmin(found))]
            if min(found) < best_loss:
                best, best_loss = counts.copy(), min(found)
        return best

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> np.ndarray:
        if self.counts is None:
            raise not_fitted(self.kind)
        a = check_count(self.kind, self.counts, n_models)
        return a / a.sum()

    def select(self, indices: Sequence[int]) -> Greedy:
        if self.counts is None:
            return self
        return replace(self, counts=tuple(self.counts[i] for i in indices))

    def to_dict(self) -> dict[str, Any]:
        names = ("rounds", "start", "bags", "seed")
        counts = None if self.counts is None else list(self.counts)
        return {"kind": self.kind, **{n: getattr(self, n) for n in names}, "counts": counts}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Greedy:
        options = {name: value for name, value in given.items() if name != "kind"}
        counts = options.pop("counts", None)
        return cls(**options, counts=None if counts is None else tuple(counts))
