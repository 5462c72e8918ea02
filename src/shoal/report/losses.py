"""Learning curves: every member's loss over the epochs, the chosen one marked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from shoal.report.figure import (
    GREY,
    INK,
    ORANGE,
    RED,
    Choice,
    Figure,
    line,
    log_ticks,
    points,
    thin,
    titles,
)
from shoal.report.measures import count, short
from shoal.report.results import Results

POINTS = 300  # of one curve; more cannot be seen
KINDS = {"valid_loss": "validation", "train_loss": "training"}


def learning_curves(results: Results) -> Figure | None:
    """The figure, or None without a history."""
    columns = {k: np.asarray(v) for k, v in results.history.items()}
    kinds = [k for k in KINDS if k in columns and np.isfinite(columns[k].astype(float)).any()]
    if not kinds or "epoch" not in columns:
        return None
    curves = {k: list(_curves(columns, k)) for k in kinds}
    shown = np.concatenate([loss for _, _, loss in curves[kinds[0]]])
    return Figure(
        name="losses",
        title="Loss of every member, epoch by epoch",
        summary=_words(results, kinds[0], curves[kinds[0]]),
        views={str(i): _traces(results, curves[k]) for i, k in enumerate(kinds)},
        choices=[Choice(label="loss on", options=[f"{KINDS[k]} data" for k in kinds])],
        switches=_switches(shown[np.isfinite(shown)]),
        layout=titles("epoch", results.loss_name),
        height=400,
    )


def coupling_terms(results: Results) -> Figure | None:
    """What a regime that couples members adds to their own losses; None where there is none."""
    columns = {k: np.asarray(v) for k, v in results.history.items()}
    if not {"epoch", "train_loss", "diversity"} <= set(columns):
        return None
    added = columns["diversity"].astype(float)
    if not np.isfinite(added).any() or not np.nan_to_num(added).any():
        return None
    epochs, at = np.unique(columns["epoch"], return_inverse=True)
    own, extra = (_means(columns[k].astype(float), at) for k in ("train_loss", "diversity"))
    keep = thin(len(epochs), POINTS)
    curves = (
        ("members' own, on average", own, GREY, "solid", 2),
        ("added by the regime", extra, ORANGE, "dash", 2),
        ("total", own + extra, INK, "solid", 3),
    )
    last = short(own[-1]), short(extra[-1]), short(own[-1] + extra[-1])
    kind = "rewards standing apart" if extra[-1] < 0 else "punishes being alike"
    return Figure(
        name="coupling",
        title="What the members were trained on together",
        summary=f"Training loss per member: its own, and what the regime adds for the crowd's sake "
        f"(below 0 it rewards standing apart). At the end {last[0]} + ({last[1]}) = {last[2]}: it "
        f"{kind}.",
        traces=[
            line(epochs[keep], y[keep], name, color, dash=dash, width=width)
            for name, y, color, dash, width in curves
        ],
        layout=titles("epoch", results.loss_name),
        height=360,
    )


def _means(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The mean over an epoch's members, of what is finite."""
    fine = np.isfinite(values)
    count = np.bincount(at, fine)
    total = np.bincount(at, np.where(fine, values, 0.0))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _curves(columns: dict[str, np.ndarray], kind: str) -> Iterator[tuple[int, Any, Any]]:
    """(member, epochs, losses), thinned, the lowest point kept."""
    member = columns.get("member", np.zeros(len(columns["epoch"]), int))
    for index in np.unique(member):
        rows = np.flatnonzero(member == index)
        loss = columns[kind][rows].astype(float)
        keep = thin(len(rows), POINTS)
        if np.isfinite(loss).any():
            keep = np.union1d(keep, [int(np.nanargmin(np.where(np.isfinite(loss), loss, np.nan)))])
        yield int(index), columns["epoch"][rows][keep], loss[keep]


def _traces(results: Results, curves: list) -> list[dict]:
    lost = {m.get("index") for m in results.members if m.get("status") == "diverged"}
    traces, seen = [], set()

    def add(trace: dict, group: str) -> None:
        shown = group not in seen
        seen.add(group)
        traces.append(trace | {"legendgroup": group, "showlegend": shown})

    for index, epochs, loss in sorted(curves, key=lambda c: (c[0] == results.best_index, c[0])):
        finite = np.isfinite(loss)
        x, y = epochs[finite], loss[finite]
        text = f"member {index}, epoch %{{x}}: %{{y:.4g}}<extra></extra>"
        if not len(x):
            continue
        if index in lost:
            add(line(x, y, "diverged", RED, dash="dot", hovertemplate=text), "diverged")
            end = points(x[-1:], y[-1:], "its last finite loss", RED, symbol="x", size=9)
            add(end | {"hovertemplate": text}, "end")
        elif index == results.best_index:
            name = f"member {index}, the best"
            add(line(x, y, name, INK, width=3, hovertemplate=text), "best")
            low = int(np.argmin(y))
            star = points(x[[low]], y[[low]], "its best epoch", ORANGE, symbol="star", size=15)
            star["marker"]["line"] = {"color": INK, "width": 1}
            add(star | {"hovertemplate": text}, "star")
        else:
            more = {"width": 1.3, "opacity": 0.8, "hovertemplate": text}
            add(line(x, y, "other members", GREY, **more), "others")
    return traces


def _switches(losses: np.ndarray) -> list[tuple[str, dict]]:
    """Logarithmic or linear; where losses are negative, all of it or the lower part."""
    low, high = losses.min(), losses.max()
    if low > 0:
        both = [
            ("log scale", {"yaxis": log_ticks(float(low), float(high))}),
            ("linear", {"yaxis": {"type": "linear", "rangemode": "tozero"}}),
        ]
        return both if high > 5 * low else both[::-1]
    middle = float(np.quantile(losses, 0.9))
    pad = 0.08 * (middle - low) or 1.0
    close = {"yaxis": {"range": [float(low - pad), middle + pad], "autorange": False}}
    both = [("lower part", close), ("all", {"yaxis": {"autorange": True}})]
    return both if high - low > 3 * (middle - low) else both[::-1]


def _words(results: Results, kind: str, curves: list) -> str:
    """What the curves say."""
    lowest = {i: np.nanmin(loss) for i, _, loss in curves if np.isfinite(loss).any()}
    text = f"{count(len(lowest), 'learning curve')} on {KINDS[kind]} data."
    if results.best_index in lowest:
        _, epochs, loss = next(c for c in curves if c[0] == results.best_index)
        at = epochs[int(np.nanargmin(np.where(np.isfinite(loss), loss, np.nan)))]
        low = short(lowest[results.best_index])
        text += f" Member {results.best_index} reaches the lowest loss, {low}, at epoch {at}"
        last = epochs[-1]
        text += " (the last: it may not have finished learning)." if at == last else f" of {last}."
    if len(lowest) > 1:
        values = np.array(list(lowest.values()))
        ends = short(values.min()), short(values.max())
        text += f" The members' best losses lie between {ends[0]} and {ends[1]}."
    return text
