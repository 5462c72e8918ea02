"""Scores of predictive distributions: negative log-likelihood, CRPS, PIT.

Normal:   CRPS = σ·(z(2Φ(z) − 1) + 2φ(z) − 1/√π),  z = (y − μ)/σ        (Gneiting et al. 2005)
Mixture:  CRPS = Σ_i w_i A(y − μ_i, σ_i) − ½ Σ_ij w_i w_j A(μ_i − μ_j, √(σ_i² + σ_j²)),
          A(d, s) = d(2Φ(d/s) − 1) + 2sφ(d/s), and |d| for s = 0         (Grimit et al. 2006)

so that without stds the mixture's form is the CRPS of an ensemble of points, which sorting finds in
M log M:  Σ_i w_i |x_i − y| − Σ_i w_(i) x_(i) (2W_i − w_(i) − 1),  W_i = Σ_{j ≤ i} w_(j).

All results have the truth's shape; average them with `shoal.score.points.masked_mean`. Lower is
better.
"""

from __future__ import annotations

from math import log, pi, sqrt

import numpy as np

from shoal.equations.combine import expand
from shoal.equations.intervals import mixture_cdf, mixture_log_density, normal_cdf, normal_density


def nll_normal(mean, std, y) -> np.ndarray:
    """−log N(y; mean, std), in nats.

    >>> import numpy as np
    >>> nll_normal(0.0, 1.0, np.array([0.0])).round(4)
    array([0.9189])
    """
    z = (np.asarray(y, float) - mean) / std
    return 0.5 * z * z + np.log(std) + 0.5 * log(2.0 * pi)


def nll_mixture(weights, means, stds, y) -> np.ndarray:
    """−log Σ_i w_i N(y; μ_i, σ_i), in nats; members first."""
    return -mixture_log_density(np, np.asarray(y, float), weights, means, stds)


def pit(weights, means, stds, y) -> np.ndarray:
    """F(y), the probability integral transform: uniform on [0, 1] if the forecasts are honest."""
    return mixture_cdf(np, np.asarray(y, float), weights, means, stds)


def crps_normal(mean, std, y) -> np.ndarray:
    """The CRPS of a normal distribution; std may be 0, which leaves |y − mean|.

    >>> import numpy as np
    >>> crps_normal(0.0, 1.0, np.array([0.0])).round(4)
    array([0.2337])
    """
    return _spread(np.asarray(y, float) - mean, std) - np.asarray(std) / sqrt(pi)


def crps_mixture(weights, means, stds, y) -> np.ndarray:
    """The CRPS of the members' mixture; `stds=None` for an ensemble of points.

    >>> import numpy as np
    >>> crps_mixture(np.array([0.5, 0.5]), np.array([[0.0], [2.0]]), None, np.array([1.0]))
    array([0.5])
    """
    if stds is None:
        return crps_ensemble(means, y, weights)
    means = np.asarray(means, float)
    weights = np.broadcast_to(expand(np.asarray(weights, float), means), means.shape)
    stds = np.asarray(stds, float)
    score = (weights * _spread(np.asarray(y, float) - means, stds)).sum(axis=0)
    for i, (weight, mean) in enumerate(zip(weights, means, strict=True)):
        later = slice(i + 1, None)  # every pair once; the member's own spread is below
        both = np.sqrt(stds[later] ** 2 + stds[i] ** 2)
        score = score - weight * (weights[later] * _spread(means[later] - mean, both)).sum(axis=0)
    return score - (weights**2 * stds).sum(axis=0) / sqrt(pi)


def crps_ensemble(members, y, weights=None, *, fair: bool = False) -> np.ndarray:
    """The CRPS of an ensemble of points.

    Args:
        members: (members, rows, ...). y: (rows, ...).
        weights: (members,) or (members, rows), summing to one; equal by default.
        fair: judge the members as draws from a distribution, unbiased in their number (Ferro 2014):
            the spread between them is divided by 1 − Σw², which is (M − 1)/M. By default they are
            judged as the forecast itself.

    >>> import numpy as np
    >>> members = np.array([[0.0], [2.0]])
    >>> crps_ensemble(members, np.array([1.0])), crps_ensemble(members, np.array([1.0]), fair=True)
    (array([0.5]), array([0.]))
    """
    apart = np.asarray(members, float) - np.asarray(y, float)
    count = len(apart)
    weights = np.full(count, 1.0 / count) if weights is None else np.asarray(weights, float)
    weights = np.broadcast_to(expand(weights, apart), apart.shape)
    order = np.argsort(apart, axis=0)
    x, w = (np.take_along_axis(a, order, axis=0) for a in (apart, weights))
    spread = (w * x * (2.0 * np.cumsum(w, axis=0) - w - 1.0)).sum(axis=0)
    if fair:
        if count < 2:
            raise ValueError("the fair CRPS needs at least 2 members, got 1")
        spread = spread / (1.0 - (w**2).sum(axis=0))
    return (w * np.abs(x)).sum(axis=0) - spread


def _spread(difference, std) -> np.ndarray:
    """E|X| of X ~ N(difference, std)."""
    std = np.broadcast_to(np.asarray(std, float), np.shape(difference))
    z = np.divide(difference, std, out=np.zeros_like(std), where=std > 0)
    smooth = difference * (2.0 * normal_cdf(np, z) - 1.0) + 2.0 * std * normal_density(np, z)
    return np.where(std > 0, smooth, np.abs(difference))
