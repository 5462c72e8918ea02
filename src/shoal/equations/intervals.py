"""The normal distribution and mixtures of it: CDF, density, quantiles, intervals.

    F(y) = Σ_i w_i Φ((y − μ_i)/σ_i)

Only `exp`, `abs`, `clip`, `where`, `sqrt`, `log` and sums are used, so one source serves NumPy,
JAX, PyTorch and MLX. Φ is Hart's rational approximation (Hart 1968, algorithm 5666, given in West
2005, "Better approximations to cumulative normal functions"), good to 1e-15 in double precision. A
quantile of the mixture is found by bisections, then Newton steps that may not leave the bracket;
the one-sided Chebyshev (Cantelli) inequality gives the first one:

    m − s·√((1−p)/p)  ≤  F⁻¹(p)  ≤  m + s·√(p/(1−p))      m, s: mean and std of the mixture.
"""

from __future__ import annotations

from math import log, pi, sqrt
from statistics import NormalDist

from shoal.equations.combine import expand, moments, weighted_mean

_TOP = (0.0352624965998911, 0.700383064443688, 6.37396220353165, 33.912866078383)
_TOP += (112.079291497871, 221.213596169931, 220.206867912376)
_BOTTOM = (0.0883883476483184, 1.75566716318264, 16.064177579207, 86.7807322029461)
_BOTTOM += (296.564248779674, 637.333633378831, 793.826512519948, 440.413735824752)
_TAIL = 7.07106781186547  # beyond it a continued fraction
_FAR = 38.0  # beyond it Φ(−z) is 0 in double precision
_BISECTIONS = 6  # then Newton


def check_level(level: float) -> float:
    """`level` as a float, refused unless it lies strictly between 0 and 1."""
    if not 0.0 < float(level) < 1.0:
        raise ValueError(f"`level` must lie between 0 and 1, as in 0.9, got {level!r}")
    return float(level)


def normal_quantile(p: float) -> float:
    """Φ⁻¹(p) of one number 0 < p < 1.

    >>> round(normal_quantile(0.975), 4)
    1.96
    """
    return NormalDist().inv_cdf(p)


def normal_cdf(xp, z):
    """Φ(z), elementwise.

    >>> import numpy as np
    >>> normal_cdf(np, np.array([-1.0, 0.0, 1.0])).round(6)
    array([0.158655, 0.5     , 0.841345])
    """
    a = xp.clip(xp.abs(z), 0.0, _FAR)
    density = xp.exp(-0.5 * a * a)
    near = density * _polynomial(_TOP, a) / _polynomial(_BOTTOM, a)
    far = density / (sqrt(2.0 * pi) * _fraction(a))
    tail = xp.where(a < _TAIL, near, far)
    return xp.where(z > 0, 1.0 - tail, tail)


def _polynomial(coefficients: tuple[float, ...], a):
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = value * a + coefficient
    return value


def _fraction(a):
    value = a + 0.65
    for k in (4.0, 3.0, 2.0, 1.0):
        value = a + k / value
    return value


def normal_density(xp, z):
    """φ(z), elementwise.

    >>> import numpy as np
    >>> float(normal_density(np, np.array(0.0)).round(4))
    0.3989
    """
    z = xp.clip(z, -1.0e3, 1.0e3)
    return xp.exp(-0.5 * z * z) / sqrt(2.0 * pi)


def mixture_cdf(xp, y, weights, means, stds):
    """F(y), (batch, ...), of members (members, batch, ...)."""
    return weighted_mean(weights, normal_cdf(xp, (y - means) / stds))


def mixture_log_density(xp, y, weights, means, stds):
    """log Σ_i w_i N(y; μ_i, σ_i), (batch, ...), shifted so that nothing underflows.

    >>> import numpy as np
    >>> w, means, stds = np.array([0.5, 0.5]), np.zeros((2, 1)), np.ones((2, 1))
    >>> mixture_log_density(np, np.array([100.0]), w, means, stds).round(2)
    array([-5000.92])
    """
    z = (y - means) / stds
    weights = expand(weights, z)
    counts = weights > 0  # log 0 is kept out of the sum, and out of gradients
    logs = xp.where(counts, xp.log(xp.where(counts, weights, 1.0)), -1.0e30)
    logs = logs - 0.5 * z * z - xp.log(stds) - 0.5 * log(2.0 * pi)
    highest = logs[0]
    for each in logs[1:]:
        highest = xp.where(each > highest, each, highest)
    return highest + xp.log(xp.exp(logs - highest).sum(axis=0))


def mixture_quantile(xp, p: float, weights, means, stds, *, steps: int = 18):
    """F⁻¹(p), (batch, ...), exact unless the members' stds are minute beside the whole.

    Args:
        xp: the array namespace.
        p: strictly between 0 and 1.
        weights: (members,) or (members, batch), summing to one.
        means, stds: (members, batch, ...); stds > 0.
        steps: evaluations of F; at worst the error is 2^-steps of the bracket.

    >>> import numpy as np
    >>> w, means, stds = np.array([0.5, 0.5]), np.array([[-1.0], [1.0]]), np.ones((2, 1))
    >>> float(abs(mixture_quantile(np, 0.5, w, means, stds)[0]) < 1e-9)
    1.0
    """
    check_level(p)
    found = moments(weights, means, stds)
    std = xp.sqrt(found.total)
    low = found.mean - std * sqrt((1.0 - p) / p)
    high = found.mean + std * sqrt(p / (1.0 - p))
    y = 0.5 * (low + high)
    for step in range(steps):
        z = (y - means) / stds
        excess = weighted_mean(weights, normal_cdf(xp, z)) - p
        low, high = xp.where(excess < 0, y, low), xp.where(excess < 0, high, y)
        middle = 0.5 * (low + high)
        if step < _BISECTIONS:
            y = middle
            continue
        slope = weighted_mean(weights, normal_density(xp, z) / stds)
        newton = y - excess / xp.clip(slope, 1.0e-30, None)
        y = xp.where((newton >= low) & (newton <= high), newton, middle)
    return y


def mixture_interval(xp, level: float, weights, means, stds, *, steps: int = 18):
    """The central interval (lower, upper) of the mixture that holds `level` of its mass."""
    tail = 0.5 * (1.0 - check_level(level))
    return tuple(
        mixture_quantile(xp, p, weights, means, stds, steps=steps) for p in (tail, 1.0 - tail)
    )


def normal_interval(level: float, mean, std):
    """mean ∓ z·std with z = Φ⁻¹((1 + level)/2).

    >>> import numpy as np
    >>> low, high = normal_interval(0.95, np.array([0.0]), np.array([1.0]))
    >>> high.round(2)
    array([1.96])
    """
    width = normal_quantile(0.5 + 0.5 * check_level(level)) * std
    return mean - width, mean + width
