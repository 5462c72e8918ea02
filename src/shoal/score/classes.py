"""Scores of class probabilities (rows, classes) against labels (rows,).

log loss  −mean log p_y            Brier  mean Σ_c (p_c − [y = c])², between 0 and 2
ECE       Σ_b n_b/n · |frequency_b − confidence_b|            (Naeini et al. 2015; Guo et al. 2017)

The calibration error comes in two kinds. Of the *top label*, confidence is the greatest probability
and frequency the share of rows where that class was right. *Classwise* (Kull et al. 2019; Nixon et
al. 2019), confidence is p_c and frequency the share of rows of class c; the mean over the classes.

Bins are of the confidence: "uniform" cuts [0, 1] into equal widths (low, high]; "quantile" puts the
same number of rows into each (equal confidences stay together). Every binned error is biased upward
on few rows: compare models on the same rows and bins only. A Brier score needs no bins.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

Strategy = Literal["uniform", "quantile"]


def checked_classes(probabilities, labels) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (rows, classes) and labels (rows,) as arrays, refused where they do not fit."""
    p, y = np.asarray(probabilities, float), np.asarray(labels)
    if p.ndim != 2 or y.shape != p.shape[:1]:
        raise ValueError(
            "`probabilities` must be (rows, classes) and `labels` (rows,), "
            f"got {p.shape} and {y.shape}"
        )
    if len(y) and not (y.min() >= 0 and y.max() < p.shape[1]):
        raise ValueError(f"`labels` must lie in 0..{p.shape[1] - 1}, got {y.min()}..{y.max()}")
    if np.isnan(p).any():
        row = int(np.isnan(p).any(axis=1).argmax())
        raise ValueError(f"`probabilities` must not be NaN, found it in row {row}")
    return p, y.astype(int)


def accuracy(probabilities, labels) -> float:
    """The share of rows whose most probable class is right.

    >>> accuracy([[0.9, 0.1], [0.6, 0.4]], [0, 1])
    0.5
    """
    p, y = checked_classes(probabilities, labels)
    return float((p.argmax(axis=1) == y).mean())


def log_loss(probabilities, labels) -> float:
    """−mean log p of the true class, in nats; infinite if a truth was given probability 0."""
    p, y = checked_classes(probabilities, labels)
    with np.errstate(divide="ignore"):
        return float(-np.log(p[np.arange(len(y)), y]).mean())


def brier(probabilities, labels) -> float:
    """Mean squared distance to the one-hot truth, summed over the classes.

    >>> brier([[0.5, 0.5]], [0])
    0.5
    """
    p, y = checked_classes(probabilities, labels)
    return float(((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1).mean())


class BrierParts(NamedTuple):
    """`brier = reliability − resolution + uncertainty`, exactly.

    Attributes:
        reliability: squared gap between said and found frequency; 0 is calibrated.
        resolution: how far the found frequencies go from the overall one; greater is better.
        uncertainty: Σ_c f_c(1 − f_c) of the classes' frequencies: of the data, not the model.
    """

    reliability: float
    resolution: float
    uncertainty: float


def brier_parts(
    probabilities, labels, bins: int = 10, strategy: Strategy = "uniform"
) -> BrierParts:
    """Murphy's decomposition of the Brier score, summed over the classes.

        REL = Σ_b n_b/n (p̄_b − f_b)²,   RES = Σ_b n_b/n (f_b − f)²,   UNC = f(1 − f)

    with p̄_b said and f_b found in bin b. Forecasts that differ inside a bin would leave a rest; it
    is counted with the resolution (generalised: Stephenson et al. 2008), so that the parts always
    add up. Source: Murphy 1973.

    >>> parts = brier_parts([[0.8, 0.2], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1])
    >>> round(parts.reliability - parts.resolution + parts.uncertainty, 4)
    0.5133
    >>> round(brier([[0.8, 0.2], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1]), 4)
    0.5133
    """
    p, y = checked_classes(probabilities, labels)
    truth = np.eye(p.shape[1])[y]
    reliability = resolution = 0.0
    for said, found in zip(p.T, truth.T, strict=True):
        index = bin_index(said, bins, strategy)
        count = np.bincount(index, minlength=bins)
        safe = np.maximum(count, 1)
        mean, share = (np.bincount(index, a, bins) / safe for a in (said, found))
        reliability += (count * (mean - share) ** 2).sum() / len(y)
        rest = (said - mean[index]) ** 2 - 2 * (said - mean[index]) * (found - share[index])
        resolution += (count * (share - found.mean()) ** 2).sum() / len(y) - rest.mean()
    frequency = truth.mean(axis=0)
    uncertainty = (frequency * (1 - frequency)).sum()
    return BrierParts(float(reliability), float(resolution), float(uncertainty))


def bin_index(confidence, bins: int, strategy: Strategy = "uniform") -> np.ndarray:
    """The bin 0 … bins − 1 of each confidence in [0, 1].

    >>> bin_index([0.0, 0.1, 0.11, 1.0], 10).tolist()
    [0, 0, 1, 9]
    """
    confidence = np.asarray(confidence, float)
    if strategy not in ("uniform", "quantile") or bins < 1:
        raise ValueError(
            'bins must be at least 1 and their `strategy` "uniform" or "quantile", '
            f"got {bins!r} and {strategy!r}"
        )
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    if strategy == "quantile" and len(confidence):
        last = -(-len(confidence) * np.arange(1, bins) // bins) - 1  # of each bin, in order
        inner = np.sort(confidence)[last]
    return np.searchsorted(inner, confidence, side="left")


def reliability_table(
    probabilities,
    labels,
    bins: int = 10,
    *,
    of: int | None = None,
    strategy: Strategy = "uniform",
) -> dict[str, list]:
    """The data of a reliability diagram: what was said beside what was found, in bins.

    Args:
        probabilities: (rows, classes). labels: (rows,).
        bins: how many.
        of: a class: its probability against its frequency. None: the top label's confidence
            against accuracy.
        strategy: "uniform" widths, or the same number of rows in each: "quantile".

    Returns:
        Columns `low`, `high`, `count`, `confidence`, `accuracy` (the share found); the last two
        None in empty bins. Of "quantile" bins `low` and `high` are the least and greatest
        confidence inside, None if empty.
    """
    p, y = checked_classes(probabilities, labels)
    if of is not None and not 0 <= of < p.shape[1]:
        raise ValueError(f"`of` must be a class in 0..{p.shape[1] - 1}, got {of!r}")
    said = p.max(axis=1) if of is None else p[:, of]
    found = p.argmax(axis=1) == y if of is None else y == of
    index = bin_index(said, bins, strategy)
    rows = [index == b for b in range(bins)]
    ends = [(b / bins, (b + 1) / bins) for b in range(bins)]
    if strategy == "quantile":
        ends = [
            (float(said[r].min()), float(said[r].max())) if r.any() else (None,) * 2 for r in rows
        ]
    return {
        "low": [low for low, _ in ends],
        "high": [high for _, high in ends],
        "count": [int(r.sum()) for r in rows],
        "confidence": [float(said[r].mean()) if r.any() else None for r in rows],
        "accuracy": [float(found[r].mean()) if r.any() else None for r in rows],
    }


def ece(probabilities, labels, bins: int = 10, *, strategy: Strategy = "uniform") -> float:
    """Expected calibration error of the top label.

    >>> round(ece([[0.8, 0.2], [0.8, 0.2]], [0, 0]), 6)
    0.2
    """
    return _gap(reliability_table(probabilities, labels, bins, strategy=strategy))


def classwise_ece(
    probabilities, labels, bins: int = 10, *, strategy: Strategy = "uniform"
) -> float:
    """Expected calibration error of every class's own probability, averaged over the classes.

    >>> round(classwise_ece([[0.8, 0.2], [0.8, 0.2]], [0, 0]), 6)
    0.2
    """
    p, y = checked_classes(probabilities, labels)
    tables = (reliability_table(p, y, bins, of=c, strategy=strategy) for c in range(p.shape[1]))
    return float(np.mean([_gap(table) for table in tables]))


def _gap(table: dict[str, list]) -> float:
    """Σ_b n_b/n · |found_b − said_b|."""
    columns = zip(table["count"], table["accuracy"], table["confidence"], strict=True)
    gaps = [n * abs(found - said) for n, found, said in columns if n]
    return float(sum(gaps) / sum(table["count"])) if gaps else float("nan")
