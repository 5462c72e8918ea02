"""Time table: which members count follows from how long ago the last observation was.

Elapsed times are cut into bins at the `edges`; in each bin the weights are w_i ∝ exp(−L_i/T) of the
members' losses on validation rows in that bin, or rows of a table that was written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from shoal.equations.combine import softmax
from shoal.equations.namespaces import alike, flags, floats, namespace
from shoal.equations.weights import ELAPSED, elapsed_of, of_table
from shoal.weighting.evidence import Evidence, needed, not_fitted, row_losses


@dataclass(frozen=True)
class TimeTable:
    """w(Δt) from a table.

    Args:
        edges: ascending elapsed times; one bin more than edges.
        of: which elapsed time of a sample: its "last", their "sum" or "mean".
        per_batch: one weight for the whole batch, by its mean elapsed time.
        temperature: T of the fit, relative to the spread of the members' losses in a bin.
        table: (bins, members); written down, or found by `fit`.

    >>> rule = TimeTable((10.0,), table=((1.0, 0.0), (0.0, 1.0)))
    >>> rule.weights(2, timespans=np.array([[1.0, 3.0], [1.0, 30.0]])).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    edges: tuple[float, ...]
    of: str = "last"
    per_batch: bool = False
    temperature: float = 1.0
    table: tuple[tuple[float, ...], ...] | None = None
    kind: ClassVar[str] = "time_table"

    def __post_init__(self):
        if not len(self.edges) or (np.diff(self.edges) <= 0).any() or min(self.edges) < 0:
            raise ValueError(f"`edges` must be ascending and at least 0, got {list(self.edges)}")
        if self.of not in ELAPSED:
            raise ValueError(f"`of` must be one of {', '.join(ELAPSED)}, got {self.of!r}")
        if not self.temperature > 0:
            raise ValueError(f"`temperature` must be positive, got {self.temperature!r}")
        if self.table is not None:
            _check_table(np.asarray(self.table, float), len(self.edges) + 1)

    @property
    def learns(self) -> str:
        """A table that was written down learns nothing."""
        return "predictions" if self.table is None else "nothing"

    def fit(self, evidence: Evidence) -> TimeTable:
        if self.table is not None:
            return self
        predictions, y, known = needed(self.kind, evidence)
        losses = row_losses(predictions, y, known)
        elapsed = self._elapsed(evidence.timespans, evidence.mask)
        bins = np.searchsorted(self.edges, elapsed, side="right")
        table = []
        for bin_ in range(len(self.edges) + 1):
            rows = losses[:, bins == bin_]
            mean = rows.mean(1) if rows.size else np.zeros(len(losses))
            spread = self.temperature * max(float(mean.std()), 1e-12)
            table.append(tuple(softmax(np, -(mean - mean.min()) / spread).tolist()))
        return replace(self, table=tuple(table))

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> np.ndarray:
        if self.table is None:
            raise not_fitted(self.kind)
        table = np.asarray(self.table, float)
        if table.shape[1] != n_models:
            raise ValueError(
                f"weighting {self.kind!r} has {table.shape[1]} weights a bin, but there are "
                f"{n_models} members"
            )
        table = table / table.sum(1, keepdims=True)
        elapsed = self._elapsed(timespans, mask)
        if self.per_batch:
            elapsed = elapsed.mean() + 0.0 * elapsed
        return of_table(namespace(elapsed), elapsed, self.edges, alike(table, elapsed))

    def _elapsed(self, timespans: Any, mask: Any) -> Any:
        if timespans is None:
            raise ValueError(f"weighting {self.kind!r} depends on elapsed time; give `timespans`")
        timespans = floats(timespans)
        return elapsed_of(namespace(timespans), timespans, flags(mask, timespans), self.of)

    def select(self, indices: Sequence[int]) -> TimeTable:
        if self.table is None:
            return self
        return replace(self, table=tuple(tuple(row[i] for i in indices) for row in self.table))

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "edges": list(self.edges),
            "of": self.of,
            "per_batch": self.per_batch,
            "temperature": self.temperature,
            "table": None if self.table is None else [list(row) for row in self.table],
        }

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> TimeTable:
        options = {name: value for name, value in given.items() if name != "kind"}
        options["edges"] = tuple(float(e) for e in given["edges"])
        if options.get("table") is not None:
            options["table"] = tuple(tuple(float(v) for v in row) for row in options["table"])
        return cls(**options)


def _check_table(table: np.ndarray, bins: int) -> None:
    fine = table.ndim == 2 and len(table) == bins
    if not fine or (table < 0).any() or not (table.sum(1) > 0).all():
        raise ValueError(
            f"`table` must have {bins} rows, one more than edges, of numbers that are at least 0 "
            f"and not all 0; got {table.tolist()}"
        )
