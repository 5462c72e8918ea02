"""Scores of class probabilities (rows, classes) against labels (rows,).

log loss  −mean log p_y            Brier  mean Σ_c (p_c − [y = c])², between 0 and 2
ECE       Σ_b n_b/n · |accuracy_b − confidence_b| over bins of the top probability
                                                                    (Guo et al. 2017)
"""

from __future__ import annotations

import numpy as np


def _check(probabilities, labels) -> tuple[np.ndarray, np.ndarray]:
    p, y = np.asarray(probabilities, float), np.asarray(labels)
    if p.ndim != 2 or y.shape != p.shape[:1]:
        raise ValueError(
            "`probabilities` must be (rows, classes) and `labels` (rows,), "
            f"got {p.shape} and {y.shape}"
        )
    if len(y) and not (y.min() >= 0 and y.max() < p.shape[1]):
        raise ValueError(f"`labels` must lie in 0..{p.shape[1] - 1}, got {y.min()}..{y.max()}")
    return p, y.astype(int)


def accuracy(probabilities, labels) -> float:
    """The share of rows whose most probable class is right.

    >>> accuracy([[0.9, 0.1], [0.6, 0.4]], [0, 1])
    0.5
    """
    p, y = _check(probabilities, labels)
    return float((p.argmax(axis=1) == y).mean())


def log_loss(probabilities, labels) -> float:
    """−mean log p of the true class, in nats; infinite if a truth was given probability 0."""
    p, y = _check(probabilities, labels)
    with np.errstate(divide="ignore"):
        return float(-np.log(p[np.arange(len(y)), y]).mean())


def brier(probabilities, labels) -> float:
    """Mean squared distance to the one-hot truth, summed over the classes.

    >>> brier([[0.5, 0.5]], [0])
    0.5
    """
    p, y = _check(probabilities, labels)
    return float(((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1).mean())


def reliability_table(probabilities, labels, bins: int = 10) -> dict[str, list]:
    """Confidence against accuracy, in equal bins of the top probability.

    Returns:
        Columns `low`, `high`, `count`, `confidence`, `accuracy`; the last two None in empty bins.
    """
    p, y = _check(probabilities, labels)
    confidence, hit = p.max(axis=1), p.argmax(axis=1) == y
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # bins (low, high]
    rows = [index == b for b in range(bins)]
    return {
        "low": [b / bins for b in range(bins)],
        "high": [(b + 1) / bins for b in range(bins)],
        "count": [int(r.sum()) for r in rows],
        "confidence": [float(confidence[r].mean()) if r.any() else None for r in rows],
        "accuracy": [float(hit[r].mean()) if r.any() else None for r in rows],
    }


def ece(probabilities, labels, bins: int = 10) -> float:
    """Expected calibration error of the top class.

    >>> round(ece([[0.8, 0.2], [0.8, 0.2]], [0, 0]), 6)
    0.2
    """
    table = reliability_table(probabilities, labels, bins)
    total = sum(table["count"])
    gaps = (
        n * abs(a - c)
        for n, a, c in zip(table["count"], table["accuracy"], table["confidence"], strict=True)
        if n
    )
    return float(sum(gaps) / total) if total else float("nan")
