"""Local competence: who did well on rows like this one counts more.

    w_i(x) ∝ exp(−L_i(x)/T),   L_i(x) = mean loss of member i on the k nearest validation rows

Rows are compared by what they hold: for series the last observation, the mean of each feature, and
elapsed time; each scaled by its spread among the rows seen; NaN counts as the mean. Source: Woods,
Kegelmeyer & Bowyer 1997 (dynamic selection by local accuracy).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from shoal.equations.namespaces import alike, flags, floats, namespace
from shoal.equations.weights import elapsed_of, of_neighbours
from shoal.weighting.evidence import Evidence, needed, not_fitted, row_losses

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Local:
    """w_i(x) from the neighbourhood of x.

    Args:
        neighbours: k, how many of the rows seen are near.
        temperature: T, relative to the spread of all losses seen; small ones select one member.
        seen, losses: filled in by `fit`: (rows, numbers) and (members, rows).
        centre, spread: of the numbers.

    >>> x, y = np.array([[0.0], [0.2], [8.0], [8.2]]), np.zeros((4, 1))
    >>> predictions = np.stack([np.abs(x) > 4, np.abs(x) < 4]).astype(float)
    >>> rule = Local(neighbours=2, temperature=0.1).fit(Evidence(np.ones(2), predictions, y, x=x))
    >>> rule.weights(2, np.array([[0.1], [8.1]])).round(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    neighbours: int = 10
    temperature: float = 1.0
    seen: Rows | None = None
    losses: Rows | None = None
    centre: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    kind: ClassVar[str] = "local"
    learns: ClassVar[str] = "predictions"

    def __post_init__(self):
        if self.neighbours < 1:
            raise ValueError(f"`neighbours` must be at least 1, got {self.neighbours}")
        if not self.temperature > 0:
            raise ValueError(f"`temperature` must be positive, got {self.temperature!r}")

    def fit(self, evidence: Evidence) -> Local:
        predictions, y, known = needed(self.kind, evidence)
        if evidence.x is None:
            raise ValueError("weighting 'local' compares rows; give Evidence(x=...)")
        numbers = describe_rows(evidence.x, evidence.timespans, evidence.mask)
        centre = np.nan_to_num(np.nanmean(numbers, axis=0))
        spread = np.nan_to_num(np.nanstd(numbers, axis=0))
        spread = np.where(spread > 0, spread, 1.0)
        return replace(
            self,
            seen=_rows(_scaled(numbers, centre, spread)),
            losses=_rows(row_losses(predictions, y, known)),
            centre=tuple(centre.tolist()),
            spread=tuple(spread.tolist()),
        )

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> np.ndarray:
        if self.seen is None or self.losses is None:
            raise not_fitted(self.kind)
        if len(self.losses) != n_models:
            raise ValueError(
                f"weighting 'local' knows {len(self.losses)} members, but there are {n_models}"
            )
        losses, seen = np.asarray(self.losses, float), np.asarray(self.seen, float)
        numbers = describe_rows(x, timespans, mask)
        near = _scaled(numbers, alike(self.centre, numbers), alike(self.spread, numbers))
        k = min(self.neighbours, len(seen))
        temperature = self.temperature * max(float(losses.std()), 1e-12)
        seen, losses = alike(seen, numbers), alike(losses, numbers)
        return of_neighbours(namespace(numbers), near, seen, losses, k, temperature)

    def select(self, indices: Sequence[int]) -> Local:
        if self.losses is None:
            return self
        return replace(self, losses=tuple(self.losses[i] for i in indices))

    def to_dict(self) -> dict[str, Any]:
        plain = {name: _lists(value) for name, value in vars(self).items()}
        return {"kind": self.kind, **plain}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Local:
        options = {name: value for name, value in given.items() if name != "kind"}
        for name in ("seen", "losses"):
            if options.get(name) is not None:
                options[name] = tuple(tuple(row) for row in options[name])
        for name in ("centre", "spread"):
            options[name] = tuple(options.get(name, ()))
        return cls(**options)


def describe_rows(x: Any, timespans: Any = None, mask: Any = None) -> Any:
    """(batch, numbers) to compare rows by; NaN where nothing was observed.

    >>> describe_rows(np.array([[[1.0], [3.0]]])).tolist()
    [[3.0, 2.0]]
    """
    x = floats(x)
    if x.ndim == 2:
        return x
    xp, mask = namespace(x), flags(mask, x)
    kept = xp.isfinite(x) if mask is None else xp.isfinite(x) & mask[..., None]
    zeros = xp.zeros_like(x)
    seen = xp.where(kept, xp.ones_like(x), zeros)
    order = xp.cumsum(seen, 1)
    count = order[:, -1]
    unknown = xp.where(count > 0, zeros[:, 0], float("nan") + zeros[:, 0])
    mean = xp.where(kept, x, zeros).sum(1) / xp.where(count > 0, count, xp.ones_like(count))
    last = xp.where(kept & (order == order[:, -1:]), x, zeros).sum(1)
    parts = [last + unknown, mean + unknown]
    if timespans is not None:
        parts.append(elapsed_of(xp, alike(timespans, x), mask, "last")[:, None])
    return xp.concatenate(parts, 1)


def _scaled(numbers: Any, centre: Any, spread: Any) -> Any:
    return namespace(numbers).nan_to_num((numbers - centre) / spread)


def _rows(array: np.ndarray) -> Rows:
    return tuple(tuple(row) for row in array.tolist())


def _lists(value: Any) -> Any:
    return [_lists(v) for v in value] if isinstance(value, tuple) else value
