"""Stacking: a model over the members' predictions, learned on rows they were not trained on.

    linear        y ≈ b + Σ c_i f_i, ridge towards equal weights:  |y − F c − b|² + λ·n·|c − 1/n|²
    non_negative  the same with c ≥ 0 and b = 0
    any other     y ≈ g(f_1 … f_n), a model of `shoal.weighting.meta`

One set of coefficients serves every output. For classes the columns are probabilities, the target
their one-hot, coefficients are non-negative and sum to one, so that a mixture comes out.

The rows are those of a validation block (prefit), or all training rows, each answered by members
that were trained without it: `shoal.collective.out_of_fold` makes such evidence. `folds`, `order`,
`gap` and `seed` say how a run does that; the rule itself learns from whatever evidence it is given.

Of a meta-model `weights` are the non-negative coefficients, as shares: they say how much each
member counts, and are what the spread is taken with; the mean is the model's.

Sources: Wolpert 1992; Breiman, "Stacked regressions", 1996 (c ≥ 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from shoal.equations.combine import softmax
from shoal.equations.meta import Layers
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.pooling import MIXTURE, Pool
from shoal.weighting.evidence import Evidence, check_count, needed, not_fitted
from shoal.weighting.meta import NAMED, fit_model, layers_of

CLOSED = ("linear", "non_negative")
META = (*CLOSED, *NAMED)
ORDERS = ("shuffled", "time")


@dataclass(frozen=True)
class Stacking:
    """y = b + Σ c_i f_i, or g(f_1 … f_n).

    Args:
        meta: "linear", "non_negative", "logistic" (of classes), "mlp", or an object with
            scikit-learn's `fit` and `predict`, for classes `predict_proba`.
        ridge: λ of the first two, relative to the mean square of the predictions; at least 0.
        folds: how many a run cuts its training rows into; None takes the validation block.
        order: "shuffled" or "time"; None: time where rows are forecasts.
        gap: of the folds in time, in its unit, between what was trained on and what is asked.
        seed: of shuffled folds, and of the perceptron's first weights.
        coefficients, intercept, classes, model: filled in by `fit`.

    >>> rng = np.random.default_rng(0)
    >>> parts, y = rng.normal(size=(2, 50, 1)), None
    >>> y = 2.0 * parts[0] - parts[1] + 3.0
    >>> found = Stacking("linear", ridge=0.0).fit(Evidence(np.ones(2), parts, y))
    >>> found.weights(2).round(6).tolist(), round(found.intercept, 6)
    ([2.0, -1.0], 3.0)
    """

    meta: Any = "non_negative"
    ridge: float = 1e-3
    folds: int | None = None
    order: str | None = None
    gap: float = 0.0
    seed: int = 0
    coefficients: tuple[float, ...] | None = None
    intercept: float = 0.0
    classes: bool = False
    model: Any = None
    kind: ClassVar[str] = "stacking"
    learns: ClassVar[str] = "predictions"

    def __post_init__(self):
        named = isinstance(self.meta, str)
        if named and self.meta not in META and self.model is None:
            raise ValueError(
                f"`meta` must be one of {', '.join(META)}, or from Python an object with `fit` and "
                f"`predict`; got {self.meta!r}"
            )
        if not named and not (hasattr(self.meta, "fit") and hasattr(self.meta, "predict")):
            raise ValueError(
                f"`meta` must have `fit` and `predict`, as scikit-learn's models do; "
                f"{type(self.meta).__name__} has not"
            )
        for name in ("ridge", "gap"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"`{name}` must be at least 0, got {getattr(self, name)!r}")
        if self.folds is not None and self.folds < 2:
            raise ValueError(f"`folds` must be at least 2, got {self.folds}")
        if self.order not in (None, *ORDERS):
            raise ValueError(f"`order` must be one of {', '.join(ORDERS)}, got {self.order!r}")

    @property
    def pool(self) -> Pool:
        if self.model is not None:
            return Pool("model", model=self.model)
        return MIXTURE if self.classes else Pool("linear", self.intercept)

    def fit(self, evidence: Evidence) -> Stacking:
        predictions, y, known = needed(self.kind, evidence)
        classes = isinstance(predictions, Categorical)
        columns, target = _regression(predictions, y, known)
        if not target.size:
            raise ValueError("weighting 'stacking' found no row whose truth is known; give some")
        model, intercept = None, 0.0
        if self.meta == "linear" and not classes:
            c, intercept = _linear(columns, target, self.ridge)
        else:
            c = _non_negative(columns, target, self.ridge)
        if self.meta not in CLOSED:
            model = fit_model(self.meta, predictions, y, known, self.seed)
        if classes or model is not None:
            c = c / c.sum() if c.sum() > 0 else np.full(len(c), 1.0 / len(c))
        return replace(
            self,
            coefficients=tuple(c.tolist()),
            intercept=float(intercept),
            classes=classes,
            model=model,
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
        names = ("ridge", "folds", "order", "gap", "seed", "intercept", "classes")
        c = None if self.coefficients is None else list(self.coefficients)
        named = isinstance(self.meta, str)
        plain = {
            "kind": self.kind,
            "meta": self.meta if named else type(self.meta).__name__,
            **{name: getattr(self, name) for name in names},
            "coefficients": c,
        }
        if isinstance(self.model, Layers):
            return plain | {"model": self.model._asdict()}
        if self.model is not None or not named:
            raise ValueError(
                f"weighting 'stacking': the meta-model {plain['meta']} cannot be saved; fitted "
                f"linear models, logistic regressions and perceptrons can, such as "
                f"{', '.join(map(repr, META))}"
            )
        return plain

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Stacking:
        options = {name: value for name, value in given.items() if name != "kind"}
        if options.get("coefficients") is not None:
            options["coefficients"] = tuple(options["coefficients"])
        if options.get("model") is not None:
            options["model"] = layers_of(**options["model"])
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
