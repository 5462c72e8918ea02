"""Weights that depend on what is asked: on elapsed time, on the neighbourhood.

    table       w_i(Δt) = W[k, i] where edge_{k−1} ≤ Δt < edge_k
    curve       w(Δt) = softmax(θ(u)), θ piecewise linear in u between knots, constant beyond
    pair        w_long = [Δt ≥ threshold], or σ((Δt − threshold)/width) for a smooth switch
    local       w_i(x) ∝ exp(−L_i(x)/T), L_i(x) the mean loss of member i on the k nearest rows seen

All are (members, batch), at least 0, and sum to one over the members; over any array namespace.
"""

from __future__ import annotations

from shoal.equations.activations import sigmoid
from shoal.equations.combine import softmax

ELAPSED = ("last", "sum", "mean")


def elapsed_of(xp, timespans, mask=None, of: str = "last"):
    """One elapsed time per sample, (batch,), of timespans (batch, time).

    "last" is the time before the last observation, "sum" that from the first one's predecessor to
    the last, "mean" their quotient.

    >>> import numpy as np
    >>> timespans = np.array([[1.0, 2.0, 9.0]])
    >>> [elapsed_of(np, timespans, np.array([[True, True, False]]), of).tolist() for of in ELAPSED]
    [[2.0], [3.0], [1.5]]
    """
    if of not in ELAPSED:
        raise ValueError(f"`of` must be one of {', '.join(ELAPSED)}; got {of!r}")
    ones = xp.ones_like(timespans)
    seen = ones if mask is None else xp.where(mask, ones, xp.zeros_like(timespans))
    count = xp.cumsum(seen, 1)
    if of == "last":
        seen = xp.where(count == count[:, -1:], seen, xp.zeros_like(seen))
        return (timespans * seen).sum(1)
    total = (timespans * seen).sum(1)
    if of == "sum":
        return total
    return total / xp.where(count[:, -1] > 0, count[:, -1], ones[:, 0])


def of_table(xp, elapsed, edges, table):
    """Rows of a table (bins, members), chosen by elapsed times (batch,); one edge less than bins.

    >>> import numpy as np
    >>> of_table(np, np.array([1.0, 5.0]), [2.0], np.array([[1.0, 0.0], [0.25, 0.75]])).tolist()
    [[1.0, 0.25], [0.0, 0.75]]
    """
    chosen = table[0][:, None] + 0.0 * elapsed
    for edge, row in zip(edges, table[1:], strict=True):
        chosen = xp.where(elapsed >= edge, row[:, None] + 0.0 * elapsed, chosen)
    return chosen


def of_curve(xp, u, knots, logits):
    """softmax of a curve that is linear between ascending knots and constant beyond.

    Args:
        u: (batch,) where the curve is read.
        knots: ascending numbers.
        logits: (knots, members).

    >>> import numpy as np
    >>> logits = np.log([[1.0, 3.0], [3.0, 1.0]])
    >>> of_curve(np, np.array([-1.0, 1.0, 5.0]), [0.0, 2.0], logits).round(2).tolist()
    [[0.25, 0.5, 0.75], [0.75, 0.5, 0.25]]
    """
    found = logits[0][None, :] + 0.0 * u[:, None]
    for number in range(1, len(knots)):
        width = knots[number] - knots[number - 1]
        share = xp.clip((u - knots[number - 1]) / width, 0.0, 1.0)
        found = found + share[:, None] * (logits[number] - logits[number - 1])[None, :]
    return xp.swapaxes(softmax(xp, found), 0, 1)


def of_pair(xp, elapsed, threshold: float, width: float = 0.0):
    """(short, long) of two members by elapsed time; width 0 switches at once.

    >>> import numpy as np
    >>> of_pair(np, np.array([3.0, 10.0]), 10.0).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if width > 0:
        far = sigmoid(xp, (elapsed - threshold) / width)
    else:
        far = xp.where(elapsed >= threshold, xp.ones_like(elapsed), xp.zeros_like(elapsed))
    return xp.stack([1.0 - far, far], 0)


def of_neighbours(xp, features, seen, losses, neighbours: int, temperature: float):
    """Weights from how the members did on the nearest rows.

    Args:
        features: (batch, numbers) of what is asked, on the scale of `seen`.
        seen: (rows, numbers), where the members' losses are known.
        losses: (members, rows).
        neighbours: k, at most the number of rows.
        temperature: T > 0, in the unit of the losses.

    >>> import numpy as np
    >>> w = of_neighbours(np, np.array([[0.1]]), np.array([[0.0], [9.0]]), np.eye(2), 1, 0.1)
    >>> w.round(3).tolist()
    [[0.0], [1.0]]
    """
    apart = features[:, None, :] - seen[None, :, :]
    distance = (apart * apart).sum(-1)
    nearest = xp.argsort(distance, -1)[:, :neighbours]
    local = xp.stack([row[nearest].sum(-1) for row in losses], -1) / neighbours
    return xp.swapaxes(softmax(xp, -local / temperature), 0, 1)
