"""How well scores find what is rare: precision and recall, point by point and event by event.

    precision   the share of what is flagged that is an anomaly
    recall      the share of anomalies that are flagged
    F1          2·precision·recall / (precision + recall)
    AP          Σ_k (R_k − R_{k−1})·P_k     over all thresholds, from the highest: average precision

Average precision needs no threshold; a score by chance reaches the share of anomalies. All of it is
point-wise: each observation counts once. `event_counts` counts an event as found when one of its
points is flagged, beside false alarms, which stay points. It is given apart, because point-wise
figures "adjusted" so that one hit makes every point of its event a hit let scores by chance look
excellent (Kim et al. 2022, "Towards a rigorous evaluation of time-series anomaly detection").
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class PrecisionRecall(NamedTuple):
    """The curve, by threshold from the highest: flagged are scores at or above it.

    Attributes:
        precision, recall, threshold: (thresholds,) each.
    """

    precision: np.ndarray
    recall: np.ndarray
    threshold: np.ndarray


class BestF1(NamedTuple):
    """The point of the curve with the greatest F1."""

    f1: float
    precision: float
    recall: float
    threshold: float


class EventCounts(NamedTuple):
    """Events, each a stretch of anomalies in a row.

    Attributes:
        found: events with a point that is flagged.
        events: how many there are.
        false_alarms: points that are flagged and no anomalies.
        ordinary: points that are no anomalies.
    """

    found: int
    events: int
    false_alarms: int
    ordinary: int


def precision_recall(scores, labels) -> PrecisionRecall:
    """Precision and recall at every threshold.

    Args:
        scores: (rows,), greater is stranger; NaN is left out.
        labels: (rows,) of bool or 0 and 1: whether the row is an anomaly.

    Raises:
        ValueError: lengths differ, all scores are NaN, or the labels are not of both kinds.

    >>> curve = precision_recall([0.9, 0.8, 0.1], [1, 0, 1])
    >>> curve.precision.round(2), curve.recall
    (array([1.  , 0.5 , 0.67]), array([0.5, 0.5, 1. ]))
    """
    scores, truth = _checked(scores, labels)
    order = np.argsort(-scores, kind="stable")
    scores, truth = scores[order], truth[order]
    last = np.r_[np.flatnonzero(np.diff(scores)), len(scores) - 1]  # of each score's ties
    hits = np.cumsum(truth)[last]
    return PrecisionRecall(hits / (last + 1), hits / truth.sum(), scores[last])


def average_precision(scores, labels) -> float:
    """The mean precision over the anomalies, from the strangest row on; 1 is perfect.

    Args:
        scores, labels: as of `precision_recall`.

    >>> round(average_precision([0.9, 0.8, 0.1], [1, 0, 1]), 4)
    0.8333
    """
    curve = precision_recall(scores, labels)
    return float((np.diff(curve.recall, prepend=0.0) * curve.precision).sum())


def best_f1(scores, labels) -> BestF1:
    """The greatest F1 of any threshold: of a threshold chosen after the truth is known.

    It flatters; F1 at a threshold of `anomaly_threshold` does not.

    Args:
        scores, labels: as of `precision_recall`.

    >>> best_f1([0.9, 0.8, 0.1], [1, 0, 1])
    BestF1(f1=0.8, precision=0.6666666666666666, recall=1.0, threshold=0.1)
    """
    curve = precision_recall(scores, labels)
    total = curve.precision + curve.recall
    f1 = 2.0 * curve.precision * curve.recall / np.where(total > 0, total, 1.0)
    best = int(f1.argmax())
    return BestF1(float(f1[best]), *(float(column[best]) for column in curve))


def event_counts(flags, labels) -> EventCounts:
    """Events of which at least one point is flagged, and false alarms.

    Args:
        flags: (rows,) of bool, in the order of time.
        labels: (rows,) of bool or 0 and 1; anomalies in a row are one event.

    >>> event_counts([0, 1, 0, 0, 1, 0], [1, 1, 0, 1, 0, 0])
    EventCounts(found=1, events=2, false_alarms=1, ordinary=3)
    """
    flags, truth = _truth(flags, "flags"), _truth(labels, "labels")
    _check_lengths("flags", flags, truth)
    begins = np.diff(truth, prepend=False) & truth
    events = np.where(truth, np.cumsum(begins), 0)
    found = np.unique(events[flags & truth])
    false = int((flags & ~truth).sum())
    return EventCounts(len(found), int(begins.sum()), false, int((~truth).sum()))


def _checked(scores, labels) -> tuple[np.ndarray, np.ndarray]:
    scores, truth = np.asarray(scores, float), _truth(labels, "labels")
    _check_lengths("scores", scores, truth)
    seen = ~np.isnan(scores)
    if not seen.any():
        raise ValueError(f"`scores` must hold at least one number, all {len(scores)} are NaN")
    scores, truth = scores[seen], truth[seen]
    if truth.all() or not truth.any():
        kind = "anomalies" if truth.all() else "ordinary"
        raise ValueError(
            f"`labels` must be of both kinds, and the {len(truth)} rows with a score are all {kind}"
        )
    return scores, truth


def _truth(labels, name: str) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.dtype != bool and not np.isin(labels, (0, 1)).all():
        raise ValueError(f"`{name}` must be True and False, or 1 and 0, got {labels.dtype}")
    return labels.astype(bool)


def _check_lengths(name: str, values: np.ndarray, truth: np.ndarray) -> None:
    if values.ndim != 1 or values.shape != truth.shape:
        raise ValueError(
            f"`{name}` and `labels` must be (rows,) and alike, got {values.shape} and {truth.shape}"
        )
