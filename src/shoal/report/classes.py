"""Figures of a classification: reliability, confusion, confidence, agreement of the members."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shoal.report import figure as f
from shoal.report.figure import Figure
from shoal.report.measures import percent, short, window_range
from shoal.report.results import Classification
from shoal.score.classes import bin_index

BINS, MOST = 10, 40


def class_figures(c: Classification) -> Iterator[Figure]:
    """Reliability and confidence side by side, then the confusion matrix."""
    if not len(c.labels):
        return
    yield _reliability(c)
    yield _confidence(c)
    if len(c.class_names) <= MOST:
        yield _confusion(c)


def accuracy(p: np.ndarray, labels: np.ndarray) -> float:
    """The share of rows whose most probable class is the true one."""
    return float((p.argmax(1) == labels).mean())


def calibration_error(c: Classification) -> float:
    """Expected calibration error over ten equal bins of the top probability."""
    _, share, found, sure = _bins(c)
    return float(np.nansum(share * np.abs(np.nan_to_num(found) - np.nan_to_num(sure))))


def brier(p: np.ndarray, labels: np.ndarray) -> float:
    """Mean over rows of Σ (p − one-hot)²."""
    return float(((p - np.eye(p.shape[1])[labels]) ** 2).sum(1).mean())


def log_loss(p: np.ndarray, labels: np.ndarray) -> float:
    """Mean of −log p(true class)."""
    return float(-np.log(np.clip(p[np.arange(len(p)), labels], 1e-12, 1)).mean())


def metric_rows(c: Classification, best: int | None) -> list[dict]:
    """Accuracy, Brier, NLL of the collective, its members on average, and the best of them."""
    crowds = {"collective": c.probabilities[None]}
    if c.members is not None and len(c.members) > 1:
        alive = c.members[np.isfinite(c.members).all((1, 2))]
        if len(alive):
            crowds["mean of the members"] = alive
        if best is not None and best in c.member_indices:
            row = c.members[list(c.member_indices).index(best)]
            crowds[f"best member ({best})"] = row[None]
    scores = {"accuracy": accuracy, "brier": brier, "nll": log_loss}
    return [
        {"model": name}
        | {k: float(np.mean([s(p, c.labels) for p in ps])) for k, s in scores.items()}
        for name, ps in crowds.items()
    ]


def _bins(c: Classification) -> tuple[np.ndarray, ...]:
    """(counts, shares, accuracy, mean confidence) of each bin, NaN where empty."""
    return _binned(c.probabilities, c.labels)


def _binned(p: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, ...]:
    sure, right = p.max(1), p.argmax(1) == labels
    which = bin_index(sure, BINS)  # (low, high], as the scores have them
    n = np.bincount(which, minlength=BINS)
    safe = np.where(n > 0, n, 1)
    found = np.where(n > 0, np.bincount(which, right, BINS) / safe, np.nan)
    mean = np.where(n > 0, np.bincount(which, sure, BINS) / safe, np.nan)
    return n, n / n.sum(), found, mean


def _reliability(c: Classification) -> Figure:
    n, _, found, sure = _bins(c)
    known = n > 0
    low, high = zip(
        *(window_range(p, k) for p, k in zip(sure[known], n[known], strict=True)), strict=True
    )
    text = {"hovertemplate": "said %{x:.0%}, right %{y:.0%}<extra></extra>"}
    before = []
    if c.raw is not None:
        m, _, then, said = _binned(c.raw, c.labels)
        style = {"symbol": "square", "dash": "dot", **text}
        before = [f.line(said[m > 0], then[m > 0], "before recalibration", f.ORANGE, **style)]
    share = {"xaxis_tickformat": ".0%", "xaxis_range": [0, 1.02], "xaxis_dtick": 0.2}
    return Figure(
        name="reliability",
        title="Reliability: said and found certainty",
        summary=f"Expected calibration error {short(calibration_error(c))}. Below the dashed line "
        "the collective is overconfident. The grey band is where chance alone would put the dots.",
        traces=[
            *f.band(sure[known], np.array(low), np.array(high), "chance", f.GREY, 0.25),
            f.line([0, 1], [0, 1], "said = right", f.INK, dash="dash", width=1.4),
            *before,
            f.line(sure[known], found[known], "found", f.BLUE, width=2.4, symbol="circle", **text),
        ],
        layout=f.titles(
            "probability of the chosen class",
            "share that was right",
            yaxis_tickformat=".0%",
            yaxis_range=[0, 1.02],
            **share,
        ),
        height=400,
        half=True,
    )


def _confidence(c: Classification) -> Figure:
    sure, right = c.probabilities.max(1), c.probabilities.argmax(1) == c.labels
    edges = np.linspace(0, 1, 21)
    bars = []
    for name, keep, color, pattern in (("right", right, f.SKY, ""), ("wrong", ~right, f.RED, "/")):
        heights = np.histogram(sure[keep], edges)[0]
        bars.append(
            {"type": "bar", "x": f.axis((edges[1:] + edges[:-1]) / 2), "y": f.axis(heights)}
            | {"name": name, "marker": {"color": color, "pattern": {"shape": pattern}}}
            | {"hovertemplate": f"%{{y}} {name}<extra></extra>"}
        )
    surely_wrong = int((~right & (sure > 0.9)).sum())
    return Figure(
        name="confidence",
        title="How sure it is",
        summary=f"{percent(float((sure > 0.9).mean()))} of the held-out rows are answered with "
        f"more than 90 % probability; {surely_wrong} of those answers are wrong.",
        traces=bars,
        layout=f.titles(
            "probability of the chosen class", "rows", xaxis_tickformat=".0%", xaxis_dtick=0.2
        )
        | {"barmode": "stack", "bargap": 0.08},
        height=400,
        half=True,
    )


def _confusion(c: Classification) -> Figure:
    k = len(c.class_names)
    counts = np.zeros((k, k), int)
    np.add.at(counts, (c.labels, c.probabilities.argmax(1)), 1)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    wrong = counts * (1 - np.eye(k, dtype=int))
    true, said = np.unravel_index(wrong.argmax(), wrong.shape)
    words = "No row is classified wrongly."
    if wrong.any():
        names = c.class_names[int(true)], c.class_names[int(said)]
        words = f"The most frequent mistake: {names[0]} taken for {names[1]}, "
        words += f"{wrong[true, said]} times."
    names = [f.label(n, 16) for n in c.class_names]
    grid = {"type": "heatmap", "z": f.axis(shares), "x": names, "y": names, "text": counts.tolist()}
    grid |= {
        "colorscale": f.SCALE,
        "zmin": 0,
        "zmax": 1,
        "xgap": 1,
        "ygap": 1,
    }
    grid |= {"colorbar": {"thickness": 12, "tickformat": ".0%", "outlinewidth": 0}}
    grid |= {"hovertemplate": "true %{y}, said %{x}: %{text} rows, %{z:.0%}<extra></extra>"}
    if k <= 10:
        grid["texttemplate"] = "%{text}"
    layout = f.titles("predicted class", "true class", xaxis_type="category", yaxis_type="category")
    layout["yaxis"] |= {"autorange": "reversed"}
    return Figure(
        name="confusion",
        title="What is taken for what",
        summary=f"{words} Numbers are rows; colour is the share of the true class.",
        traces=[grid],
        layout=layout,
        height=min(760, 260 + 34 * k),
    )
