"""How weighted opinions become one answer.

    mixture     Σ w_i p_i                the mixture of what members say; w ≥ 0, Σ w = 1
    linear      b + Σ c_i μ_i            any coefficients, as stacking learns them
    sum         b + Σ c_i f_i            members are parts of one answer, as boosting builds it;
                                         of classes: the softmax of b + Σ c_i logits_i
    median      the weighted median      of each output by itself
    vote        Σ w_i onehot(argmax p_i) hard votes; among equals the class with the lower number
    geometric   softmax(Σ w_i log p_i)   the logarithmic opinion pool: one member can veto a class
    model       g(f_1 … f_n)             whatever a meta-model makes of them, as stacking learns it

Uncertainty follows the mixture with shares |c_i|/Σ|c| around the pooled mean; `sum` has none, since
parts do not disagree. A model's shares are weights that are given beside it. Members lie on the
first axis.

Sources: Genest & Zidek 1986 (pools); Drucker 1997 (the median of AdaBoost.R2).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from shoal.equations.combine import (
    Moments,
    class_moments,
    entropy,
    expand,
    moments,
    softmax,
    weighted_mean,
)
from shoal.equations.meta import columns_of_classes, columns_of_points
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.voting import first_greatest

POINTS = ("mixture", "linear", "sum", "median")
CLASSES = ("mixture", "sum", "vote", "geometric")
KINDS = tuple(dict.fromkeys((*POINTS, *CLASSES)))


class Pool(NamedTuple):
    """Which of them, and the intercept b: a number, or an array of the shape of one answer.

    `model(xp, columns)` is the meta-model of the kind "model"; see `shoal.equations.meta`.
    """

    kind: str = "mixture"
    intercept: Any = 0.0
    model: Any = None


MIXTURE = Pool()


def pooled(xp, pool: Pool, weights, outputs) -> Moments:
    """Mean and the two parts of the uncertainty of the members' answers.

    Args:
        xp: the array namespace.
        pool: how they are pooled.
        weights: (members,) or (members, batch, ...), axes to be broadcast at the end.
        outputs: an array, `Normal` or `Categorical`, members first.

    Raises:
        ValueError: where such answers cannot be pooled so.

    >>> import numpy as np
    >>> members, third = np.array([[1.0], [2.0], [9.0]]), np.full(3, 1 / 3)
    >>> [float(pooled(np, Pool(kind), third, members).mean[0]) for kind in ("mixture", "median")]
    [4.0, 2.0]
    """
    check_pool(pool.kind, outputs)
    if isinstance(outputs, Categorical):
        return _classes(xp, pool, weights, outputs)
    means = outputs.mean if isinstance(outputs, Normal) else outputs
    stds = outputs.std if isinstance(outputs, Normal) else None
    if pool.kind == "mixture":
        return moments(weights, means, stds)
    if pool.kind == "sum":
        mean = pool.intercept + weighted_mean(weights, means)
        return Moments(mean, 0.0 * mean, 0.0 * mean)
    shares = shares_of(xp, weights)
    if pool.kind == "linear":
        mean = pool.intercept + weighted_mean(weights, means)
    elif pool.kind == "model":
        mean = pool.model(xp, columns_of_points(xp, means)).reshape(means.shape[1:])
    else:
        mean = weighted_median(xp, shares, means)
    aleatoric = 0.0 * mean if stds is None else weighted_mean(shares, stds**2)
    return Moments(mean, aleatoric, weighted_mean(shares, (means - mean) ** 2))


def shares_of(xp, weights):
    """|w_i| / Σ|w|, by which members share in the uncertainty; all alike where all w are 0.

    >>> import numpy as np
    >>> shares_of(np, np.array([-1.0, 3.0])), shares_of(np, np.zeros(2))
    (array([0.25, 0.75]), array([0.5, 0.5]))
    """
    parts = xp.abs(weights)
    total = parts.sum(axis=0) + 0.0 * parts
    some, ones = total > 0, xp.ones_like(parts)
    return xp.where(some, parts, ones / len(parts)) / xp.where(some, total, ones)


def check_pool(kind: str, outputs) -> None:
    """Refuses to pool what cannot be."""
    if kind == "model":
        return  # it was fitted to such answers
    if kind not in KINDS:
        raise ValueError(f"`kind` of a pool must be one of {', '.join(KINDS)}; got {kind!r}")
    classes = isinstance(outputs, Categorical)
    if kind not in (CLASSES if classes else POINTS):
        what = "classes" if classes else "real numbers"
        raise ValueError(
            f"members answer {what}, which cannot be pooled by {kind!r}; use one of "
            f"{', '.join(CLASSES if classes else POINTS)}"
        )
    if kind == "sum" and isinstance(outputs, Normal):
        raise ValueError("parts of a sum are numbers; members answered normal distributions")


def weighted_median(xp, weights, values):
    """The first value, in ascending order, at which the weights reach one half.

    >>> import numpy as np
    >>> weighted_median(np, np.array([0.2, 0.2, 0.6]), np.array([[1.0], [2.0], [9.0]]))
    array([9.])
    """
    order = xp.argsort(values, 0)
    weights = expand(weights, values) * xp.ones_like(values)
    take = xp.take_along_dim if hasattr(xp, "take_along_dim") else xp.take_along_axis
    ascending, shares = take(values, order, 0), take(weights, order, 0)
    before = xp.cumsum(shares, 0) - shares
    # 1e-6: a half that rounding missed is a half
    chosen = (before < 0.5 - 1e-6) & (before + shares >= 0.5 - 1e-6)
    return xp.where(chosen, ascending, xp.zeros_like(ascending)).sum(0)


def _classes(xp, pool: Pool, weights, outputs: Categorical) -> Moments:
    if pool.kind == "sum":
        mean = softmax(xp, pool.intercept + weighted_mean(weights, outputs.logits))
        return Moments(mean, entropy(xp, mean), 0.0 * mean[..., 0])
    probabilities = softmax(xp, outputs.logits)
    if pool.kind == "vote":
        return class_moments(xp, weights, first_greatest(xp, probabilities))
    if pool.kind == "mixture":
        return class_moments(xp, weights, probabilities)
    if pool.kind == "model":
        mean = pool.model(xp, columns_of_classes(xp, probabilities))
    else:
        mean = softmax(xp, weighted_mean(weights, outputs.logits))
    aleatoric = weighted_mean(weights, entropy(xp, probabilities))
    return Moments(mean, aleatoric, entropy(xp, mean) - aleatoric)
