"""Losses: how far predictions are from what happened, over any array namespace `xp`.

Every loss is elementwise first, ℓ(prediction, y) with one value per target, and then averaged over
the targets that exist,

    L = Σ w ℓ / Σ w,    w = y_mask (True/1 where the target exists, or any weight ≥ 0).

A prediction is an array, a `Normal` or a `Categorical` (see `outputs.py`). A masked target must be
a finite number, whichever: 0·NaN is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi
from typing import Any

from shoal.equations.namespaces import still
from shoal.equations.outputs import Categorical, Normal

Elementwise = Callable[[Any, Any, Any], Any]


def point(prediction: Any) -> Any:
    """The point prediction: a plain array as it is, the mean of a `Normal`."""
    if isinstance(prediction, Categorical):
        raise ValueError("a `Categorical` prediction has no point value; use `cross_entropy`")
    return prediction.mean if isinstance(prediction, Normal) else prediction


def squared_error(xp: Any, prediction: Any, y: Any) -> Any:
    """(f − y)²."""
    return (point(prediction) - y) ** 2


def absolute_error(xp: Any, prediction: Any, y: Any) -> Any:
    """|f − y|."""
    return xp.abs(point(prediction) - y)


def huber_error(xp: Any, prediction: Any, y: Any, delta: float = 1.0) -> Any:
    """½e² where |e| ≤ δ, δ(|e| − ½δ) beyond (Huber 1964)."""
    e = xp.abs(point(prediction) - y)
    return xp.where(e <= delta, 0.5 * e * e, delta * (e - 0.5 * delta))


def normal_surprise(xp: Any, prediction: Any, y: Any) -> Any:
    """−log N(y; μ, σ²) = ½((y − μ)/σ)² + log σ + ½ log 2π."""
    if not isinstance(prediction, Normal):
        raise ValueError(
            "`normal_nll` needs members that answer a `Normal(mean, std)`, "
            f"found {type(prediction).__name__}; give them a head with likelihood='normal'"
        )
    z = (y - prediction.mean) / prediction.std
    return 0.5 * z * z + xp.log(prediction.std) + 0.5 * log(2 * pi)


def class_surprise(xp: Any, prediction: Any, y: Any) -> Any:
    """−log softmax(logits)[y], classes on the last axis of the logits."""
    if not isinstance(prediction, Categorical):
        raise ValueError(
            "`cross_entropy` needs members that answer a `Categorical(logits)`, "
            f"found {type(prediction).__name__}; give them a head with likelihood='categorical'"
        )
    logits = prediction.logits
    largest = getattr(xp, "amax", None) or xp.max
    shifted = logits - still(largest(logits, axis=-1, keepdims=True))
    chosen = xp.arange(logits.shape[-1]) == y[..., None]
    of_chosen = xp.where(chosen, shifted, 0.0 * shifted).sum(axis=-1)
    return xp.log(xp.exp(shifted).sum(axis=-1)) - of_chosen


def residual_error(xp: Any, prediction: Any, y: Any) -> Any:
    """(numbers − y)², where y holds a number for each logit too; for members that are added up."""
    numbers = prediction.logits if isinstance(prediction, Categorical) else point(prediction)
    return (numbers - y) ** 2


def weighted_mean(xp: Any, values: Any, weights: Any = None) -> Any:
    """Σ w·values / Σ w; 0 where every weight is 0.

    >>> import numpy as np
    >>> float(weighted_mean(np, np.array([1.0, 5.0]), np.array([True, False])))
    1.0
    """
    if weights is None:
        return values.mean()
    weights = weights * xp.ones_like(values)
    total = weights.sum()
    return (values * weights).sum() / xp.where(total > 0, total, xp.ones_like(total))


def mse(xp: Any, prediction: Any, y: Any, y_mask: Any = None) -> Any:
    """The mean squared error.

    >>> import numpy as np
    >>> float(mse(np, np.array([1.0, 3.0]), np.array([0.0, 1.0])))
    2.5
    """
    return weighted_mean(xp, squared_error(xp, prediction, y), y_mask)


def mae(xp: Any, prediction: Any, y: Any, y_mask: Any = None) -> Any:
    """The mean absolute error."""
    return weighted_mean(xp, absolute_error(xp, prediction, y), y_mask)


def huber(xp: Any, prediction: Any, y: Any, y_mask: Any = None, delta: float = 1.0) -> Any:
    """The mean Huber loss."""
    return weighted_mean(xp, huber_error(xp, prediction, y, delta), y_mask)


def normal_nll(xp: Any, prediction: Any, y: Any, y_mask: Any = None) -> Any:
    """The mean negative log-likelihood of a `Normal`."""
    return weighted_mean(xp, normal_surprise(xp, prediction, y), y_mask)


def cross_entropy(xp: Any, prediction: Any, y: Any, y_mask: Any = None) -> Any:
    """The mean cross-entropy of a `Categorical`; `y` holds the class numbers."""
    return weighted_mean(xp, class_surprise(xp, prediction, y), y_mask)


ELEMENTWISE: dict[str, Elementwise] = {
    "mse": squared_error,
    "mae": absolute_error,
    "huber": huber_error,
    "normal_nll": normal_surprise,
    "cross_entropy": class_surprise,
    "residual": residual_error,
}


def default_loss(prediction: Any) -> str:
    """The loss that fits a prediction's type."""
    if isinstance(prediction, Normal):
        return "normal_nll"
    return "cross_entropy" if isinstance(prediction, Categorical) else "mse"
