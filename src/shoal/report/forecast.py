"""Forecasts against the truth: from one origin, and at one lead time along the whole test block."""

from __future__ import annotations

from typing import Any

import numpy as np

from shoal.report import figure as f
from shoal.report.figure import Choice, Figure
from shoal.report.measures import best_baseline, bounds, count, inside, mean, percent, short
from shoal.report.results import Evaluation

ORIGINS, LEADS, POINTS, MEMBERS, TARGETS = 24, 6, 400, 16, 12  # of each, how many are drawn


def from_origin(e: Evaluation) -> Figure | None:
    """History, truth, forecast, interval and members for windows that can be chosen."""
    n, horizons, targets = e.y.shape
    if horizons < 2:
        return None
    targets = min(targets, TARGETS)
    error = np.sqrt(mean(_scaled(e) ** 2, e.y_mask, (1, 2)))
    rows = _spread(error, max(4, min(ORIGINS, 48 // targets)))
    ranks = np.argsort(np.argsort(np.nan_to_num(error, nan=-1.0))) / max(n - 1, 1)
    tags = [_tag(r) for r in ranks[rows]]
    start = int(np.argmin(np.abs(ranks[rows] - 0.5)))
    views = {f"{d},{i}": _window(e, row, d) for d in range(targets) for i, row in enumerate(rows)}
    number = f"{len(rows)} of {n:,}" if len(rows) < n else f"All {n}"
    return Figure(
        name="from-origin",
        title="The forecast from one moment",
        summary=f"{number} held-out windows can be chosen, the easiest and the hardest among "
        "them; the one of middling error comes first. Everything right of the vertical line was "
        "unknown to the models." + _member_note(e),
        views=views,
        choices=[
            Choice(label="target", options=[_named(e, d) for d in range(targets)]),
            Choice(
                label="forecast made at",
                options=[f"{_moment(e, r)} ({t})" for r, t in zip(rows, tags, strict=True)],
                start=start,
            ),
        ],
        layout=f.titles("" if e.times is not None else f"{e.time_unit}s ahead", "")
        | {"hovermode": "x unified"},
        height=430,
    )


def along_time(e: Evaluation) -> Figure | None:
    """Forecast and truth at one lead time over the whole held-out block."""
    if e.times is None:
        return None
    targets, shares = min(e.y.shape[2], TARGETS), inside(e)
    leads = f.thin(e.y.shape[1], LEADS)
    views = {f"{d},{i}": _track(e, h, d) for d in range(targets) for i, h in enumerate(leads)}
    text = "Each point was forecast the chosen time before it happened."
    if shares is not None:
        first, last = (percent(float(np.nanmean(shares[h]))) for h in (leads[0], leads[-1]))
        text += f" The band held {first} of the truths"
        text += "." if len(leads) == 1 else f" at the shortest lead time and {last} at the longest."
    if len(e.y) > POINTS:
        text += f" {POINTS} of {count(len(e.y), 'window')} are drawn."
    return Figure(
        name="along-time",
        title="Forecast and truth over the held-out time",
        summary=text,
        views=views,
        choices=[
            Choice(label="target", options=[_named(e, d) for d in range(targets)]),
            Choice(label="lead time", options=[lead(e, h) for h in leads], start=len(leads) - 1),
        ],
        layout={"hovermode": "x unified", "yaxis": {"title": {"text": ""}}},
        height=430,
    )


def against_truth(e: Evaluation) -> Figure | None:
    """Predicted against true values, for regressions."""
    if e.times is not None and e.y.shape[1] > 1:
        return None
    targets = min(e.y.shape[2], TARGETS)
    rows = f.thin(len(e.y), POINTS)
    views = {}
    for d in range(targets):
        y, p = e.y[rows, 0, d], e.mean[rows, 0, d]
        ends = [np.nanmin([y, p]), np.nanmax([y, p])] if np.isfinite(y).any() else [0, 1]
        dots = f.points(y, p, "held-out rows", f.BLUE, opacity=0.6)
        if e.std is not None:
            arms = {"type": "data", "array": f.axis(1.645 * e.std[rows, 0, d]), "width": 0}
            dots["error_y"] = arms | {"thickness": 1, "color": "rgba(0,114,178,.25)"}
        views[str(d)] = [dots, f.line(ends, ends, "a perfect answer", f.INK, dash="dash")]
    return Figure(
        name="against-truth",
        title="Predicted against true values",
        summary="Points on the dashed line are predicted exactly"
        + ("; the bars span 90 % of the collective's spread." if e.std is not None else "."),
        views=views,
        choices=[Choice(label="target", options=[_named(e, d) for d in range(targets)])],
        layout=f.titles("true value", "predicted value"),
        height=440,
    )


def _window(e: Evaluation, row: int, d: int) -> list[dict]:
    x = e.horizons if e.times is None else e.times[row]
    traces: list[dict] = []
    ends = bounds(e)
    if ends is not None:
        traces += f.band(x, ends[0][row, :, d], ends[1][row, :, d], ends[2], f.BLUE)
    for i, member in enumerate(_drawn_members(e)):
        traces.append(
            f.line(x, member[row, :, d], "members", f.SKY, width=1, opacity=0.7)
            | {"hoverinfo": "skip", "legendgroup": "members", "showlegend": not i}
        )
    best = best_baseline(e)
    if best:
        base = e.baselines[best[0]][row, :, d]
        traces.append(f.line(x, base, best[0], f.ORANGE, dash="dash", width=1.8, **_hover("~")))
    traces.append(f.line(x, e.mean[row, :, d], "forecast", f.BLUE, width=2.6, **_hover("→")))
    truth = np.where(e.y_mask[row, :, d], e.y[row, :, d], np.nan)
    traces.append(
        f.line(x, truth, "truth", f.INK, width=1.4, **_hover("●"))
        | {"mode": "lines+markers", "marker": {"size": 4, "color": f.INK}}
    )
    return _past(e, row, d) + traces


def _past(e: Evaluation, row: int, d: int) -> list[dict]:
    """The history, and a vertical line where the forecast starts."""
    if e.past_values is None or e.times is None:
        return []
    seen = np.isfinite(e.past_values[row, :, d])
    if not seen.any():
        return []
    times, values = e.past_times[row][seen], e.past_values[row, seen, d]
    known = f.line(times, values, "known before", f.GREY, width=1.6, hoverinfo="skip")
    everything = np.r_[values, e.y[row, :, d], e.mean[row, :, d]]
    low, high = np.nanmin(everything), np.nanmax(everything)
    wall = f.line(times[[-1, -1]], [low, high], "forecast made", f.GREY, dash="dot", width=1.5)
    return [known, wall | {"hoverinfo": "skip", "showlegend": False}]


def _track(e: Evaluation, h: int, d: int) -> list[dict]:
    rows = f.thin(len(e.y), POINTS)
    x, ends, traces = e.times[rows, h], bounds(e), []
    if ends is not None:
        traces += f.band(x, ends[0][rows, h, d], ends[1][rows, h, d], ends[2], f.BLUE)
    best = best_baseline(e)
    if best:
        base = e.baselines[best[0]][rows, h, d]
        traces.append(f.line(x, base, best[0], f.ORANGE, dash="dash", width=1.5, **_hover("~")))
    traces.append(f.line(x, e.mean[rows, h, d], "forecast", f.BLUE, width=2.2, **_hover("→")))
    truth = np.where(e.y_mask[rows, h, d], e.y[rows, h, d], np.nan)
    return [*traces, f.points(x, truth, "truth", f.INK, size=4, **_hover("●"))]


def lead(e: Evaluation, h: int) -> str:
    """A lead time in words: "26 weeks"."""
    value = e.horizons[h]
    return f"{short(value)} {e.time_unit}" + ("" if value == 1 else "s")


def _hover(mark: str) -> dict[str, Any]:
    return {"hovertemplate": f"{mark} %{{y:.5g}}"}


def _named(e: Evaluation, d: int) -> str:
    return f"{e.target_names[d]} [{e.target_units[d]}]" if e.target_units[d] else e.target_names[d]


def _scaled(e: Evaluation) -> np.ndarray:
    """Errors in units of each target's own spread, 0 where there is no truth."""
    spread = np.array(
        [np.nanstd(e.y[..., d][e.y_mask[..., d]]) or 1.0 for d in range(e.y.shape[2])]
    )
    return np.where(e.y_mask, e.mean - e.y, 0.0) / spread


def _spread(error: np.ndarray, most: int) -> np.ndarray:
    """Rows evenly along time, the easiest, middling and hardest among them."""
    order = np.argsort(np.nan_to_num(error, nan=-1.0))
    special = order[[0, len(order) // 2, -1]]
    return np.union1d(f.thin(len(error), most - 3), special).astype(int)


def _tag(rank: float) -> str:
    names = [(0.0, "the easiest"), (0.2, "easy"), (0.8, "typical"), (0.9999, "hard")]
    return next((name for limit, name in names if rank <= limit), "the hardest")


def _moment(e: Evaluation, row: int) -> str:
    origin = row if e.origins is None else f.axis(e.origins[[row]])[0]
    return f"window {row}" if e.origins is None else str(origin).replace("T", " ")


def _drawn_members(e: Evaluation) -> np.ndarray:
    if e.members is None:
        return np.empty(0)
    return e.members[f.thin(len(e.members), MEMBERS)]


def _member_note(e: Evaluation) -> str:
    number = 0 if e.members is None else len(e.members)
    return f" {MEMBERS} of {number} members are drawn." if number > MEMBERS else ""
