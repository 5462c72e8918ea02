"""Training members for the crowd's sake: losses of a batch that see every member's answer.

With members f_i, the crowd f̄ of equal shares, and a loss ℓ:

    joint                  n·ℓ(f̄, y)                              the crowd's own loss
    negative correlation   Σ_i [ℓ(f_i, y) − λ·(f_i − sg f̄)²]       sg: no gradient flows through it
    correlation penalty    Σ_i ℓ(f_i, y) + λ·n·mean_{i<j} ρ_ij     ρ_ij: correlation of errors

Each is a sum over members, so that a learning rate means what it means when members train alone.
For the squared error, negative correlation with λ = 1 has the gradient of joint training. The
crowd of normal members is their mixture, that of classes averages probabilities; the penalty of a
normal member is (μ_i − sg μ̄)²/(2 sg σ_i²), that of classes ½ Σ_k (p_ik − sg p̄_k)².

Members lie on the first axis. `shares` (members,) is 1/n for those that count and 0 for others.
Sources: Liu & Yao, Neural Networks 1999 (negative correlation); Webb et al. 2021 (joint training).
"""

from __future__ import annotations

from shoal.equations import losses
from shoal.equations.combine import expand, softmax, weighted_mean
from shoal.equations.namespaces import still
from shoal.equations.outputs import Categorical, Normal


def crowd_loss(xp, name: str, outputs, shares, y):
    """ℓ of the crowd's answer, one value per target.

    >>> import numpy as np
    >>> members, shares = np.array([[[1.0]], [[3.0]]]), np.array([0.5, 0.5])
    >>> crowd_loss(np, "mse", members, shares, np.array([[2.5]]))
    array([[0.25]])
    """
    if isinstance(outputs, Categorical):
        mean = weighted_mean(shares, softmax(xp, outputs.logits))
        chosen = xp.arange(mean.shape[-1]) == y[..., None]
        tiny = 1e-30
        return -xp.log(xp.where(chosen, mean, xp.zeros_like(mean)).sum(-1) + tiny)
    if isinstance(outputs, Normal) and name == "normal_nll":
        surprise = losses.normal_surprise(xp, outputs, y)
        most = still((getattr(xp, "amax", None) or xp.max)(surprise, axis=0))
        surprise = xp.where(expand(shares, surprise) > 0, surprise, most)
        least = still((getattr(xp, "amin", None) or xp.min)(surprise, axis=0))
        return least - xp.log(weighted_mean(shares, xp.exp(least - surprise)))
    return losses.ELEMENTWISE[name](xp, weighted_mean(shares, losses.point(outputs)), y)


def joint(xp, name: str, outputs, shares, y, weights, weight: float = 1.0, stop=None):
    """n times the crowd's loss."""
    return _count(xp, shares) * losses.weighted_mean(
        xp, crowd_loss(xp, name, outputs, shares, y), weights
    )


def negative_correlation(xp, name: str, outputs, shares, y, weights, weight: float, stop):
    """Every member's own loss, less what it gains by standing apart; `stop` stops gradients."""
    own = losses.ELEMENTWISE[name](xp, outputs, y)
    apart = _apart(xp, name, outputs, shares, stop)
    return _sum_of_means(xp, own - weight * apart, shares, weights)


def correlation_penalty(xp, name: str, outputs, shares, y, weights, weight: float, stop=None):
    """Every member's own loss, and a price on errors that go together."""
    own = _sum_of_means(xp, losses.ELEMENTWISE[name](xp, outputs, y), shares, weights)
    errors, weights = _errors(xp, outputs, y, weights)
    return own + weight * _count(xp, shares) * mean_correlation(xp, errors, shares, weights)


def mean_correlation(xp, errors, shares, weights, epsilon: float = 1e-12):
    """The mean over pairs of members of the correlation of their errors (members, numbers).

    >>> import numpy as np
    >>> errors = np.array([[1.0, -1.0, 2.0], [-2.0, 2.0, -4.0]])
    >>> float(mean_correlation(np, errors, np.array([0.5, 0.5]), np.ones(3)).round(6))
    -1.0
    """
    total = weights.sum()
    mean = (errors * weights).sum(-1)[..., None] / total
    apart = (errors - mean) * xp.sqrt(weights)
    length = xp.sqrt((apart * apart).sum(-1) + epsilon)
    counted = xp.where(shares > 0, xp.ones_like(shares), xp.zeros_like(shares))
    directions = apart / length[..., None] * counted[..., None]
    together = directions.sum(0)
    # |Σ u_i|² = Σ |u_i|² + 2 Σ_{i<j} u_i·u_j
    pairs = (together * together).sum() - (directions * directions).sum()
    n = counted.sum()
    return pairs / xp.where(n > 1, n * (n - 1), xp.ones_like(n))


OBJECTIVES = {
    "joint": joint,
    "negative_correlation": negative_correlation,
    "correlation": correlation_penalty,
}


def _apart(xp, name, outputs, shares, stop):
    if isinstance(outputs, Categorical):
        p = softmax(xp, outputs.logits)
        return 0.5 * ((p - stop(weighted_mean(shares, p))) ** 2).sum(-1)
    if isinstance(outputs, Normal) and name == "normal_nll":
        gap = outputs.mean - stop(weighted_mean(shares, outputs.mean))
        return 0.5 * (gap / stop(outputs.std)) ** 2
    if name != "mse":
        raise ValueError(
            f"negative correlation is defined for mse, normal_nll and cross_entropy, not {name!r}: "
            "its reward for standing apart grows with the square of the distance"
        )
    f = losses.point(outputs)
    return (f - stop(weighted_mean(shares, f))) ** 2


def _errors(xp, outputs, y, weights):
    """(members, numbers) errors and the weight of every number."""
    if isinstance(outputs, Categorical):
        p = softmax(xp, outputs.logits)
        chosen = xp.arange(p.shape[-1]) == y[..., None]
        truth = xp.where(chosen, xp.ones_like(p[0]), xp.zeros_like(p[0]))
        weights = weights[..., None] * xp.ones_like(p[0])
        return (p - truth).reshape(p.shape[0], -1), weights.reshape(-1)
    f = losses.point(outputs)
    return (f - y).reshape(f.shape[0], -1), (weights * xp.ones_like(f[0])).reshape(-1)


def _count(xp, shares):
    return xp.where(shares > 0, xp.ones_like(shares), xp.zeros_like(shares)).sum()


def _sum_of_means(xp, values, shares, weights):
    """Σ over the members that count of the weighted mean over targets."""
    weights = weights * xp.ones_like(values[0])
    total = weights.sum()
    total = xp.where(total > 0, total, xp.ones_like(total))
    each = (values * weights).reshape(values.shape[0], -1).sum(-1) / total
    return xp.where(shares > 0, each, xp.zeros_like(each)).sum()
