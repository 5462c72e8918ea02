"""What the members' differences buy: decompositions of the crowd's loss that add up exactly.

    loss of the crowd  =  mean loss of the members  −  what they disagree about

squared error, m = Σ_i w_i f_i                                   (Krogh & Vedelsby 1995)
    (m − y)²       = Σ_i w_i (f_i − y)²     − Σ_i w_i (f_i − m)²

Brier score, p̄ = Σ_i w_i p_i: the same, summed over the classes

cross-entropy, ḡ = Π_i p_i^w_i / Z, the normalised geometric mean  (Heskes 1998)
    −log ḡ_y       = Σ_i w_i (−log p_iy)    − Σ_i w_i KL(ḡ ‖ p_i),     the last being −log Z

The last terms do not look at the truth and are never negative: a crowd is at least as good as its
members on average. For cross-entropy that crowd pools by the geometric mean, not by the arithmetic
one that collectives answer with. The 0/1 loss has none: whether another wrong vote helps or harms
depends on the truth (Wood et al. 2023). Weights must sum to one over the members.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shoal.equations.combine import expand, weighted_mean
from shoal.equations.members import check_members
from shoal.score.classes import checked_classes
from shoal.score.points import masked_mean


class Ambiguity(NamedTuple):
    """`crowd = members − diversity`, each computed on its own.

    Attributes:
        crowd: mean loss of the crowd.
        members: mean loss of the members, weighted.
        diversity: what the members disagree about, never negative.
    """

    crowd: np.ndarray
    members: np.ndarray
    diversity: np.ndarray


def squared_ambiguity(weights, members, y, mask=None, axis: int | None = None) -> Ambiguity:
    """The decomposition of the mean squared error.

    Args:
        weights: (members,) or (members, rows), summing to one over the members.
        members: (members, rows, ...), points or means.
        y: (rows, ...); NaN or masked where unobserved.
        axis: what is averaged: None for everything, 0 for the rows alone.

    >>> import numpy as np
    >>> found = squared_ambiguity(np.full(2, 0.5), np.array([[0.0], [4.0]]), np.array([1.0]))
    >>> [float(part) for part in found]  # 1 = 5 − 4
    [1.0, 5.0, 4.0]
    """
    y = np.asarray(y, float)
    parts = squared_parts(weights, members, y)
    return Ambiguity(*(masked_mean(part, y, mask, axis) for part in parts))


def squared_parts(weights, members, y) -> Ambiguity:
    """The decomposition of every single squared error, of `y`'s shape; NaN where `y` is."""
    members, y = _checked(members, y)
    weights = np.asarray(weights, float)
    mean = weighted_mean(weights, members)
    return Ambiguity(
        (mean - y) ** 2,
        weighted_mean(weights, (members - y) ** 2),
        weighted_mean(weights, (members - mean) ** 2),
    )


def brier_ambiguity(weights, probabilities, labels) -> Ambiguity:
    """The decomposition of the Brier score of averaged probabilities.

    Args:
        weights: as of `squared_ambiguity`.
        probabilities: (members, rows, classes). labels: (rows,).

    >>> import numpy as np
    >>> p = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    >>> [float(part) for part in brier_ambiguity(np.full(2, 0.5), p, [0])]
    [0.5, 1.0, 0.5]
    """
    p, labels = _checked_classes(probabilities, labels)
    onehot = np.eye(p.shape[-1])[labels]
    parts = squared_ambiguity(weights, p, onehot)
    return Ambiguity(*(part * p.shape[-1] for part in parts))


def cross_entropy_ambiguity(weights, probabilities, labels) -> Ambiguity:
    """The decomposition of the cross-entropy, of the crowd that pools by the geometric mean.

    Args:
        weights: as of `squared_ambiguity`.
        probabilities: (members, rows, classes). labels: (rows,).

    Raises:
        ValueError: of some row every class is ruled out by some member: there is no such mean.

    >>> import numpy as np
    >>> p = np.array([[[0.8, 0.2]], [[0.2, 0.8]]])
    >>> [round(float(part), 4) for part in cross_entropy_ambiguity(np.full(2, 0.5), p, [0])]
    [0.6931, 0.9163, 0.2231]
    """
    p, labels = _checked_classes(probabilities, labels)
    w = expand(np.asarray(weights, float), p)
    with np.errstate(divide="ignore"):
        logs = np.where(w > 0, np.log(p), 0.0)  # of a member without weight nothing counts
    pool = _log_normalised((w * logs).sum(axis=0))
    possible = np.isfinite(pool)  # where a member's p is 0, the pool's is 0 too
    apart = np.where(possible, pool, 0.0) - np.where(possible, logs, 0.0)
    divergence = (np.exp(pool) * apart).sum(axis=-1)
    truth = (..., np.arange(len(labels)), labels)
    parts = (-pool[truth], -(w[..., 0] * logs[truth]).sum(axis=0), (w[..., 0] * divergence).sum(0))
    return Ambiguity(*(np.asarray(part.mean()) for part in parts))


def _log_normalised(logs: np.ndarray) -> np.ndarray:
    """log (e^logs / Σ e^logs) over the last axis."""
    highest = logs.max(axis=-1, keepdims=True)
    ruled_out = np.isneginf(highest[:, 0])
    if ruled_out.any():
        raise ValueError(
            f"members rule out every class of row {int(ruled_out.argmax())} between them: their "
            " geometric mean does not exist; use `brier_ambiguity`"
        )
    logs = logs - highest
    return logs - np.log(np.exp(logs).sum(axis=-1, keepdims=True))


def _checked(members, y) -> tuple[np.ndarray, np.ndarray]:
    members, y = np.asarray(members, float), np.asarray(y, float)
    if members.ndim < 2 or members.shape[1:] != y.shape:
        raise ValueError(
            f"`members` must be (members, *y.shape) = (members, {', '.join(map(str, y.shape))}), "
            f"got {members.shape}"
        )
    check_members(members)
    return members, y


def _checked_classes(probabilities, labels) -> tuple[np.ndarray, np.ndarray]:
    p = np.asarray(probabilities, float)
    if p.ndim != 3:
        raise ValueError(f"`probabilities` must be (members, rows, classes), got {p.shape}")
    check_members(p)
    return p, checked_classes(p[0], labels)[1]
