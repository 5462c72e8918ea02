"""Stacking: a linear model over the members' predictions, learned on rows they were not trained on.

    linear        y ≈ b + Σ c_i f_i, ridge towards equal weights:  |y − F c − b|² + λ·n·|c − 1/n|²
    non_negative  the same with c ≥ 0 and b = 0

One set of coefficients serves every output. For classes the columns are probabilities, the target
their one-hot, coefficients are non-negative and sum to one, so that a mixture comes out. The
members are fitted already; what they predict must be rows that they were not trained on.

Sources: Wolpert 1992; Breiman, "Stacked regressions", 1996 (c ≥ 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from shoal.equations.combine import softmax
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.pooling import MIXTURE, Pool
from shoal.weighting.evidence import Evidence, check_count, needed, not_fitted

META = ("linear", "non_negative")


@dataclass(frozen=True)
class Stacking:
    """y = b + Σ c_i f_i.

    Args:
        meta: "linear" or "non_negative".
        ridge: λ, relative to the mean square of the predictions; at least 0.
        coefficients, intercept: filled in by `fit`.

    >>> rng = np.random.default_rng(0)
    >>> parts, y = rng.normal(size=(2, 50, 1)), None
    >>> y = 2.0 * parts[0] - parts[1] + 3.0
    >>> found = Stacking("linear", ridge=0.0).fit(Evidence(np.ones(2), parts, y))
    >>> found.weights(2).round(6).tolist(), round(found.intercept, 6)
    ([2.0, -1.0], 3.0)
    """

    meta: str = "non_negative"
    ridge: float = 1e-3
    coefficients: tuple[float, ...] | None = None
    intercept: float = 0.0
    classes: bool = False
    kind: ClassVar[str] = "stacking"

    def __post_init__(self):
        if self.meta not in META:
            raise ValueError(f"`meta` must be one of {', '.join(META)}, got {self.meta!r}")
        if not 0 <= self.ridge < float("inf"):
            raise ValueError(f"`ridge` must be at least 0, got {self.ridge!r}")

    @property
    def pool(self) -> Pool:
        return MIXTURE if self.classes else Pool("linear", self.intercept)

    def fit(self, evidence: Evidence) -> Stacking:
        predictions, y, known = needed(self.kind, evidence)
        classes = isinstance(predictions, Categorical)
        columns, target = _regression(predictions, y, known)
        n = len(columns)
        if self.meta == "linear" and not classes:
            c, intercept = _linear(columns, target, self.ridge)
        else:
            c, intercept = _non_negative(columns, target, self.ridge), 0.0
        if classes:
            c = c / c.sum() if c.sum() > 0 else np.full(n, 1.0 / n)
        return replace(
            self, coefficients=tuple(c.tolist()), intercept=float(intercept), classes=classes
        )

    def weights(self, n_models: int, x=None, timespans=None, mask=None, outputs=None) -> np.ndarray:
        if self.coefficients is None:
            raise not_fitted(self.kind)
        return check_count(self.kind, self.coefficients, n_models)

    def select(self, indices: Sequence[int]) -> Any:
        if self.coefficients is None:
            return self
        raise ValueError(
            "stacked members were weighted together: without one of them the others' coefficients "
            "mean nothing; fit the weighting again for those that stay"
        )

    def to_dict(self) -> dict[str, Any]:
        names = ("meta", "ridge", "intercept", "classes")
        c = None if self.coefficients is None else list(self.coefficients)
        return {"kind": self.kind, **{n: getattr(self, n) for n in names}, "coefficients": c}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Stacking:
        options = {name: value for name, value in given.items() if name != "kind"}
        if options.get("coefficients") is not None:
            options["coefficients"] = tuple(options["coefficients"])
        return cls(**options)


def _regression(predictions: Any, y: np.ndarray, known: np.ndarray):
    """Columns (members, numbers) and the target (numbers,), of the truths that are known."""
    if isinstance(predictions, Categorical):
        p = softmax(np, predictions.logits)
        truth = np.eye(p.shape[-1])[y.astype(int)]
        kept = known.astype(bool)
        return p[:, kept].reshape(len(p), -1), truth[kept].ravel()
    f = predictions.mean if isinstance(predictions, Normal) else np.asarray(predictions, float)
    kept = known.astype(bool)
    return f[:, kept], y[kept]


def _linear(columns: np.ndarray, target: np.ndarray, ridge: float) -> tuple[np.ndarray, float]:
    n = len(columns)
    means, middle = columns.mean(1), target.mean()
    centred, rest = columns - means[:, None], target - middle
    a, b = _with_ridge(centred, rest, ridge)
    c = np.linalg.lstsq(a, b, rcond=None)[0]
    return c, middle - float(c @ means) if n else middle


def _non_negative(columns: np.ndarray, target: np.ndarray, ridge: float) -> np.ndarray:
    from scipy.optimize import nnls

    return nnls(*_with_ridge(columns, target, ridge))[0]


def _with_ridge(columns: np.ndarray, target: np.ndarray, ridge: float):
    """The rows of a least-squares problem, those of the pull to 1/n added."""
    n = len(columns)
    pull = np.sqrt(ridge * (columns**2).sum(1).mean())
    return (
        np.concatenate([columns.T, pull * np.eye(n)]),
        np.concatenate([target, np.full(n, pull / n)]),
    )
