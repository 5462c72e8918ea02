"""Boosting: what the next member learns from, and how much the last one counts.

AdaBoost, with sample weights w, the member's mistakes, and K classes:

    SAMME   err = Σ w·miss / Σ w;   α = log((1 − err)/err) + log(K − 1);   w ← w·e^{α·miss}
            ends where err ≥ 1 − 1/K; members vote with weights α
    R2      L_i = |e_i|/max|e|;  L̄ = Σ w L / Σ w;  β = L̄/(1 − L̄);  w ← w·β^{1 − L_i}
            ends where L̄ ≥ ½; the weighted median counts with weights log 1/β

Gradient boosting, F ← F + ν·ρ·f, with f fitted to the residuals of F:

    squared error   r = y − F                        ρ = Σ r·f / Σ f²
    classes         r = onehot(y) − softmax(F)       ρ minimises the cross-entropy of F + ρ·f

Sources: Freund & Schapire 1997; Hastie, Rosset, Zhu & Zou, "Multi-class AdaBoost", 2009; Drucker,
"Improving regressors using boosting techniques", 1997; Friedman, "Greedy function approximation",
2001.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shoal.equations.combine import softmax

_TINY = 1e-12  # an error of 0 would count without bound


class Round(NamedTuple):
    """After a member: its say, None if it is no better than chance; the samples' new weights."""

    say: float | None
    weights: np.ndarray


def samme(weights: np.ndarray, miss: np.ndarray, classes: int) -> Round:
    """One round of SAMME.

    Args:
        weights: (rows,) of the samples, at least 0.
        miss: (rows,) 1 where the member was wrong.
        classes: K.

    >>> found = samme(np.full(4, 0.25), np.array([0, 0, 0, 1]), 2)
    >>> round(found.say, 4), found.weights.round(2).tolist()
    (1.0986, [0.25, 0.25, 0.25, 0.75])
    """
    error = float((weights * miss).sum() / weights.sum())
    if error >= 1 - 1 / classes:
        return Round(None, weights)
    error = max(error, _TINY)
    say = float(np.log((1 - error) / error) + np.log(classes - 1))
    return Round(say, weights * np.exp(say * miss))


def r2(weights: np.ndarray, errors: np.ndarray) -> Round:
    """One round of AdaBoost.R2 with the linear loss; `errors` (rows,) are absolute.

    >>> found = r2(np.full(4, 0.25), np.array([0.0, 0.0, 0.0, 2.0]))
    >>> round(found.say, 4), found.weights.round(4).tolist()
    (1.0986, [0.0833, 0.0833, 0.0833, 0.25])
    """
    largest = errors[weights > 0].max(initial=0.0)
    loss = np.minimum(errors / largest, 1.0) if largest > 0 else np.zeros_like(errors)
    mean = float((weights * loss).sum() / weights.sum())
    if mean >= 0.5:
        return Round(None, weights)
    beta = max(mean, _TINY) / (1 - mean)
    return Round(float(np.log(1 / beta)), weights * beta ** (1 - loss))


def class_residuals(y: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """onehot(y) − softmax(F), the negative gradient of the cross-entropy by the logits.

    >>> class_residuals(np.array([1]), np.zeros((1, 2)))
    array([[-0.5,  0.5]])
    """
    return np.eye(logits.shape[-1])[y] - softmax(np, logits)


def best_step(residuals: np.ndarray, direction: np.ndarray, weights: np.ndarray) -> float:
    """ρ of the squared error: Σ w·r·f / Σ w·f²; 0 where the member says nothing.

    >>> best_step(np.array([2.0, 4.0]), np.array([1.0, 2.0]), np.ones(2))
    2.0
    """
    total = float((weights * direction**2).sum())
    return float((weights * residuals * direction).sum()) / total if total > 0 else 0.0


def best_class_step(
    y: np.ndarray,
    logits: np.ndarray,
    direction: np.ndarray,
    weights: np.ndarray,
    most: float = 64.0,
) -> float:
    """ρ in [0, `most`] that minimises the cross-entropy of F + ρ·f, which is convex in ρ.

    >>> y, f = np.array([0, 1, 1]), np.array([[1.0, -1.0], [-1.0, 1.0], [0.5, -0.5]])
    >>> round(best_class_step(y, np.zeros((3, 2)), f, np.ones(3)), 3)
    0.787
    """

    def slope(step: float) -> float:
        residual = class_residuals(y, logits + step * direction)
        return -float((weights[..., None] * residual * direction).sum())

    low, high = 0.0, most
    if slope(low) >= 0:
        return 0.0
    if slope(high) <= 0:
        return high
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 0.5 * (low + high)
