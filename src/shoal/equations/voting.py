"""Voting: every member casts a ballot over classes, and counts as much as its confidence.

    y = Σ_i w_i v_i,    w_i = c_i / Σ_j c_j

    v_i = p_i                  soft: the member's probabilities
    v_i = onehot(argmax p_i)   hard: its one vote; the class with the most votes wins

A vote without confidences is the same code with every c_i = 1, and c is divided by the greatest
c_j first, so that equal confidences of whatever size give the plain vote to the last bit. Where
all c_i are 0, nobody knows more than anybody else, and all count equally.

A hard vote has no slope. Its gradient is *straight through* (Bengio et al. 2013): forward the
decision, backward the soft vote with the same weights.

Over any array namespace `xp`; members on the first axis, classes on the last. NaN of a member
makes the vote NaN.

Sources: Dietterich, "Ensemble Methods in Machine Learning" (2000); Bengio, Léonard, Courville,
"Estimating or Propagating Gradients Through Stochastic Neurons" (2013), arXiv:1308.3432;
geometric pooling: Heskes, "Selecting weighting factors in logarithmic opinion pools" (1998).
"""

from __future__ import annotations

from math import log
from typing import Any, NamedTuple

from shoal.equations.combine import entropy, softmax, weighted_mean
from shoal.equations.namespaces import still

CONFIDENCES = ("probability", "entropy")
TIES = ("probability", "lowest")


class Ballot(NamedTuple):
    """What a vote over classes came to.

    Attributes:
        probabilities: (batch, classes); of a hard vote the winner's one-hot.
        shares: (batch, classes), each class's share of the weighted votes, wherever members are
            counted by their most probable class alone.
        weights: (members, batch), summing to one over the members.
    """

    probabilities: Any
    shares: Any
    weights: Any


def confidence(xp, probabilities, kind: str = "probability"):
    """How sure each member is, (members, batch), from its own probabilities.

    "probability" is max_k p_k, from 1/classes to 1; "entropy" is 1 − H(p)/ln(classes), from 0 to 1.

    >>> import numpy as np
    >>> sure, torn = [1.0, 0.0], [0.5, 0.5]
    >>> confidence(np, np.array([[sure], [torn]])).tolist()
    [[1.0], [0.5]]
    >>> confidence(np, np.array([[sure], [torn]]), "entropy").tolist()
    [[1.0], [0.0]]
    """
    if kind == "probability":
        return _greatest(xp, probabilities, -1)[..., 0]
    if kind != "entropy":
        raise ValueError(f"`confidence` must be one of {', '.join(CONFIDENCES)}; got {kind!r}")
    classes = probabilities.shape[-1]
    return (
        1.0 - entropy(xp, probabilities) / log(classes) if classes > 1 else _ones(xp, probabilities)
    )


def weights_of(xp, confidences):
    """w_i = c_i / Σ_j c_j over the first axis; exactly 1/n each where all c are equal.

    >>> import numpy as np
    >>> weights_of(np, np.array([0.3, 0.3, 0.3])).tolist() == [1 / 3] * 3
    True
    >>> weights_of(np, np.array([0.0, 0.0])).tolist()
    [0.5, 0.5]
    """
    ratios = _ratios(xp, confidences)
    return ratios / ratios.sum(axis=0)


def first_greatest(xp, values):
    """The one-hot of the greatest entry of the last axis; the first of several.

    >>> import numpy as np
    >>> first_greatest(np, np.array([0.1, 0.45, 0.45]))
    array([0., 1., 0.])
    """
    ones = xp.ones_like(values)
    top = xp.where(values == _greatest(xp, values, -1), ones, xp.zeros_like(values))
    return xp.where(xp.cumsum(top, -1) < 1.5, top, xp.zeros_like(values))


def soft_vote(xp, probabilities, confidences=None) -> Ballot:
    """p = Σ_i w_i p_i.

    Args:
        probabilities: (members, batch, classes).
        confidences: (members, batch) or (members,), at least 0; None: all alike.

    >>> import numpy as np
    >>> p = np.array([[[0.9, 0.1]], [[0.4, 0.6]]])
    >>> soft_vote(np, p).probabilities.round(2).tolist()
    [[0.65, 0.35]]
    >>> soft_vote(np, p, confidence(np, p)).probabilities.round(2).tolist()
    [[0.7, 0.3]]
    """
    ratios = _of_members(xp, probabilities, confidences)
    weights = ratios / ratios.sum(axis=0)
    shares = _shares(xp, ratios, probabilities)
    return Ballot(weighted_mean(weights, probabilities), shares, weights)


def geometric_vote(xp, logits, confidences=None) -> Ballot:
    """p ∝ Π_i p_i^{w_i}, the softmax of the averaged logits: one member can veto a class.

    >>> import numpy as np
    >>> p = np.array([[[0.999, 0.001]], [[0.4, 0.6]]])
    >>> geometric_vote(np, np.log(p)).probabilities.round(2).tolist()
    [[0.96, 0.04]]
    """
    ratios = _of_members(xp, logits, confidences)
    weights = ratios / ratios.sum(axis=0)
    shares = _shares(xp, ratios, softmax(xp, logits))
    return Ballot(softmax(xp, weighted_mean(weights, logits)), shares, weights)


def hard_vote(xp, probabilities, confidences=None, ties: str = "probability") -> Ballot:
    """The class with the most votes, as a one-hot; its gradient is the soft vote's.

    Args:
        probabilities: (members, batch, classes). A member votes for its most probable class, the
            lowest number of several.
        confidences: what a vote counts, (members, batch) or (members,); None: all alike.
        ties: between classes with equally many votes, "probability" takes the one that is more
            probable in the soft vote, then the lowest number; "lowest" the lowest number at once.

    >>> import numpy as np
    >>> p = np.array([[[0.6, 0.4]], [[0.1, 0.9]]])  # one vote each
    >>> (
    ...     hard_vote(np, p).probabilities.tolist(),
    ...     hard_vote(np, p, None, "lowest").probabilities.tolist(),
    ... )
    ([[0.0, 1.0]], [[1.0, 0.0]])
    """
    if ties not in TIES:
        raise ValueError(f"`ties` must be one of {', '.join(TIES)}; got {ties!r}")
    soft = soft_vote(xp, probabilities, confidences)
    score = soft.shares
    if ties == "probability":
        among = score == _greatest(xp, score, -1)
        score = xp.where(among, soft.probabilities, -1.0 - xp.zeros_like(score))
    winner = straight_through(xp, first_greatest(xp, score), soft.probabilities)
    return Ballot(winner, soft.shares, soft.weights)


def straight_through(xp, decision, slope):
    """Forward exactly `decision`, backward `slope`.

    >>> import numpy as np
    >>> straight_through(np, np.array([0.0, 1.0]), np.array([0.3, 0.7]))
    array([0., 1.])
    """
    return still(decision) + (slope - still(slope))


def _shares(xp, ratios, probabilities):
    """Votes are added before they are divided: equal counts are then equal to the last bit."""
    votes = straight_through(xp, first_greatest(xp, probabilities), probabilities)
    return weighted_mean(ratios, votes) / ratios.sum(axis=0)[..., None]


def _of_members(xp, probabilities, confidences):
    if confidences is None:
        return _ones(xp, probabilities)
    ratios = _ratios(xp, confidences)
    return ratios if ratios.ndim > 1 else ratios[:, None] * _ones(xp, probabilities)


def _ones(xp, probabilities):
    return xp.ones_like(probabilities[..., 0])


def _ratios(xp, confidences):
    """c_i over the greatest c_j: exactly 1 where all are equal."""
    greatest = still(_greatest(xp, confidences, 0))
    somebody = greatest > 0
    scale = xp.where(somebody, greatest, xp.ones_like(greatest))
    return xp.where(somebody, confidences / scale, xp.ones_like(confidences))


def _greatest(xp, values, axis: int):
    largest = getattr(xp, "amax", None) or xp.max
    return largest(values, axis=axis, keepdims=True)
