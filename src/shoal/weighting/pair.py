"""Pair: a member for what is near, a member for what is far, and a threshold between.

w_far = [Δ ≥ threshold], or σ((Δ − threshold)/width) for a smooth switch, where Δ is the elapsed
time of a sample, or, of a forecast's steps, the lead time: how far ahead each of them lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from shoal.equations.namespaces import flags, floats, namespace
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.weights import ELAPSED, elapsed_of, of_pair
from shoal.weighting.evidence import Evidence

OF = (*ELAPSED, "horizon")


@dataclass(frozen=True)
class Pair:
    """The first of two members answers what is near, the second what is far.

    Args:
        threshold: elapsed time, or lead time, from which the second one answers.
        width: of a smooth switch, in the same unit; 0 switches at once.
        of: which elapsed time of a sample: its "last", their "sum" or "mean"; or "horizon": the
            lead time of each step of a forecast.
        leads: of "horizon": one lead time per step, in the threshold's unit. None takes the
            schema's where the crowd has one, the steps ahead that were trained for, else 1, 2, ….

    >>> Pair().weights(2, timespans=np.array([[2.0], [40.0]])).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    >>> forecasts = np.zeros((2, 5, 3, 1))  # (members, batch, steps, targets)
    >>> Pair(of="horizon", threshold=2).weights(2, outputs=forecasts)[:, 0].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    """

    threshold: float = 10.0
    width: float = 0.0
    of: str = "last"
    leads: tuple[float, ...] | None = None
    kind: ClassVar[str] = "pair"
    learns: ClassVar[str] = "nothing"
    members: ClassVar[int] = 2

    def __post_init__(self):
        for name in ("threshold", "width"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"`{name}` of pair must be at least 0, got {getattr(self, name)}")
        if self.of not in OF:
            raise ValueError(f"`of` must be one of {', '.join(OF)}, got {self.of!r}")
        if self.leads is not None:
            object.__setattr__(self, "leads", tuple(map(float, self.leads)))
            _check_leads(self.leads, self.of)

    def fit(self, evidence: Evidence) -> Pair:
        return self

    def for_schema(self, schema: Any) -> Pair:
        """The rule with the lead times of a schema, where it needs them and has none."""
        if self.of != "horizon" or self.leads is not None or not schema.horizons:
            return self
        return replace(self, leads=tuple(float(step) for step in schema.horizons))

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> np.ndarray:
        """(2, batch), or of the horizon (2, batch, steps)."""
        if n_models != 2:
            raise ValueError(
                f"weighting 'pair' is for two members, one for what is near and one for what is "
                f"far; there are {n_models}: use 'time_table'"
            )
        if self.of == "horizon":
            return self._of_steps(outputs)
        if timespans is None:
            raise ValueError("weighting 'pair' depends on elapsed time; give `timespans`")
        timespans = floats(timespans)
        xp = namespace(timespans)
        elapsed = elapsed_of(xp, timespans, flags(mask, timespans), self.of)
        return of_pair(xp, elapsed, self.threshold, self.width)

    def _of_steps(self, outputs: Any) -> np.ndarray:
        first = outputs[0] if isinstance(outputs, Normal) else outputs
        if first is None or isinstance(first, Categorical) or len(first.shape) < 3:
            found = "classes" if isinstance(first, Categorical) else getattr(first, "shape", None)
            raise ValueError(
                "weighting 'pair' with of='horizon' is for forecasts, answers (members, batch, "
                f"steps, ...), got {found}; use of='last' to go by elapsed time"
            )
        batch, steps = first.shape[1:3]
        leads = range(1, steps + 1) if self.leads is None else self.leads
        if len(leads) != steps:
            raise ValueError(
                f"`leads` of pair must have one lead time per step, {steps}, got {len(leads)}"
            )
        own = of_pair(np, np.asarray(leads, float), self.threshold, self.width)
        return np.repeat(own[:, None], batch, axis=1)

    def select(self, indices: Sequence[int]) -> Any:
        from shoal.weighting.uniform import Uniform

        return self if list(indices) == [0, 1] else Uniform()

    def to_dict(self) -> dict[str, Any]:
        names = ("threshold", "width", "of")
        plain = {"kind": self.kind, **{name: getattr(self, name) for name in names}}
        return plain if self.leads is None else plain | {"leads": list(self.leads)}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Pair:
        return cls(**{name: value for name, value in given.items() if name != "kind"})


def _check_leads(leads: Sequence[float], of: str) -> None:
    if of != "horizon":
        raise ValueError(f"`leads` of pair are lead times, for of='horizon', got of={of!r}")
    if not len(leads) or not np.isfinite(leads).all() or (np.diff(leads) <= 0).any():
        raise ValueError(f"`leads` of pair must be finite and ascending, got {list(leads)}")
