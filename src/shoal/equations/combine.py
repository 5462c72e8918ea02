"""From many opinions to one: how weights combine the members' predictions.

    mean       m = Σ_i w_i μ_i
    aleatoric  Σ_i w_i σ_i²                what the members say cannot be known
    epistemic  Σ_i w_i (μ_i − m)²          what the members disagree about
    total      aleatoric + epistemic       the variance of the mixture Σ_i w_i N(μ_i, σ_i²)

and for classes, with p = Σ_i w_i p_i and the entropy H (Depeweg et al. 2018)

    total  H(p),   aleatoric  Σ_i w_i H(p_i),   epistemic  their difference, the mutual information.

Uniform weights divide by n. Members lie on the first axis; weights are (members,) or
(members, batch) and sum to one over the members.
"""

from __future__ import annotations

from typing import Any, NamedTuple

_FEW = 64  # members, up to which they are added one by one


class Moments(NamedTuple):
    """Mean and the two parts of the uncertainty, each (batch, ...)."""

    mean: Any
    aleatoric: Any
    epistemic: Any

    @property
    def total(self):
        """Aleatoric plus epistemic: the mixture's variance, or for classes its entropy."""
        return self.aleatoric + self.epistemic


def expand(weights, values):
    """Weights (members,) or (members, batch) with trailing axes, to multiply `values` by.

    >>> import numpy as np
    >>> expand(np.ones((3, 5)), np.ones((3, 5, 2))).shape
    (3, 5, 1)
    """
    return weights[(..., *(None,) * (values.ndim - weights.ndim))]


def normalise(weights):
    """Weights that sum to one over the members.

    >>> import numpy as np
    >>> normalise(np.array([1.0, 3.0]))
    array([0.25, 0.75])
    """
    return weights / weights.sum(axis=0)


def weighted_mean(weights, values):
    """Σ_i w_i v_i over the first axis: (members, batch, ...) to (batch, ...).

    >>> import numpy as np
    >>> weighted_mean(np.array([0.25, 0.75]), np.array([[0.0], [4.0]]))
    array([3.])
    """
    products = expand(weights, values) * values
    if products.shape[0] > _FEW:
        return products.sum(axis=0)
    # one after the other: XLA's sum of products over few long rows takes 25 times as long on a CPU
    total = products[0]
    for place in range(1, products.shape[0]):
        total = total + products[place]
    return total


def moments(weights, means, stds=None) -> Moments:
    """Mean and variances of the members' mixture; without `stds` the members are points.

    >>> import numpy as np
    >>> found = moments(np.array([0.5, 0.5]), np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]))
    >>> float(found.mean[0]), float(found.aleatoric[0]), float(found.epistemic[0])
    (2.0, 2.5, 1.0)
    """
    mean = weighted_mean(weights, means)
    epistemic = weighted_mean(weights, (means - mean) ** 2)
    aleatoric = 0.0 * mean if stds is None else weighted_mean(weights, stds**2)
    return Moments(mean, aleatoric, epistemic)


def softmax(xp, logits):
    """Probabilities over the last axis, shifted so that nothing overflows.

    >>> import numpy as np
    >>> softmax(np, np.array([0.0, 0.0, -1e9]))
    array([0.5, 0.5, 0. ])
    """
    if hasattr(xp, "softmax"):  # PyTorch and MLX
        return xp.softmax(logits, -1)
    shifted = xp.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def entropy(xp, probabilities):
    """−Σ p log p over the last axis, in nats, with 0 log 0 = 0.

    >>> import numpy as np
    >>> float(entropy(np, np.array([1.0, 0.0])))
    0.0
    """
    positive = probabilities > 0
    logs = xp.log(xp.where(positive, probabilities, xp.ones_like(probabilities)))
    return (0.0 - probabilities * logs).sum(axis=-1)


def class_moments(xp, weights, probabilities) -> Moments:
    """Mean probabilities (batch, classes) and the parts of their entropy (batch,).

    >>> import numpy as np
    >>> found = class_moments(np, np.array([0.5, 0.5]), np.array([[[1.0, 0.0]], [[0.0, 1.0]]]))
    >>> float(found.aleatoric[0]), float(found.epistemic[0].round(4))  # sure, but at odds
    (0.0, 0.6931)
    """
    mean = weighted_mean(weights, probabilities)
    aleatoric = weighted_mean(weights, entropy(xp, probabilities))
    return Moments(mean, aleatoric, entropy(xp, mean) - aleatoric)
