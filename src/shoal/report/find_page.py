"""The page about a number that was found: what it is in words, the picture, the table."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np

from shoal.report.figure import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALE,
    Figure,
    line,
    log_ticks,
    points,
    titles,
)
from shoal.report.find import Finding, RateCurve, ScaleTable, SizeTable
from shoal.report.measures import count, short
from shoal.report.page import FISH, document, grid
from shoal.report.search_page import rows_table
from shoal.report.tables import facts


def page(finding: Finding) -> str:
    """The whole page as HTML text."""
    return document(f"{finding.name}: {finding.what}", _top(finding), _sections(finding))


def figures(finding: Finding) -> list[Figure]:
    """The pictures of what was measured."""
    seen = finding.seen
    if isinstance(seen, RateCurve):
        return [rates(seen)]
    return [scales(seen)] if isinstance(seen, ScaleTable) else sizes(seen)


def rates(seen: RateCurve) -> Figure:
    """Every member's loss against the learning rate, the median, and the suggestion."""
    names = ["a member"] + [""] * (len(seen.losses) - 1)
    traces = [
        line(seen.rates, own, name, PALE, width=1, showlegend=bool(name), hoverinfo="skip")
        for own, name in zip(seen.losses, names, strict=True)
    ]
    traces.append(line(seen.rates, seen.median, "the median", BLUE, width=3))
    bottom, top = _ends(seen)
    said = "Nothing was chosen."
    if seen.suggestion is not None:
        at = [seen.suggestion] * 2
        traces.append(line(at, [bottom, top], "the suggestion", ORANGE, dash="dash"))
        said = f"Suggested: {short(seen.suggestion)}."
    lowest = short(float(seen.rates[seen.minimum]))
    axes = titles("learning rate", "loss, smoothed", yaxis_range=[bottom, top])
    axes["xaxis"] |= log_ticks(float(seen.rates[0]), float(seen.rates[-1]))
    return Figure(
        name="rates",
        title="Loss while the learning rate grows",
        summary=f"{count(len(seen.losses), 'member')}, {count(len(seen.rates), 'step')}. The "
        f"median is least at {lowest}. {said}",
        traces=traces,
        layout=axes,
        height=440,
    )


def sizes(seen: SizeTable) -> list[Figure]:
    """Throughput and memory against the batch size."""
    told = (
        ("speed", "Throughput", "rows a second", seen.speeds),
        ("memory", "Memory", "megabytes on a device", seen.megabytes),
    )
    return [_by_size(seen, *one) for one in told if any(v is not None for v in one[3])]


def _by_size(seen: SizeTable, name: str, title: str, unit: str, values: Any) -> Figure:
    known = [(s, v) for s, v in zip(seen.sizes, values, strict=True) if v is not None]
    at, value = (np.array(own, float) for own in zip(*known, strict=True))
    chosen = np.flatnonzero(at == seen.suggestion)
    traces = [
        line(at, value, unit, BLUE, symbol="circle"),
        points(at[chosen], value[chosen], "the suggestion", ORANGE, symbol="star", size=14),
    ]
    axes = titles("batch size", unit, yaxis_rangemode="tozero")
    axes["xaxis"] |= {
        "type": "log",
        "tickvals": [*map(int, at)],
        "ticktext": [f"{s:g}" for s in at],
    }
    own = f"{title} with batches of {seen.suggestion}: {short(float(value[chosen][0]))} {unit}."
    return Figure(name=name, title=title, summary=own, traces=traces, layout=axes, half=True)


def scales(seen: ScaleTable) -> Figure:
    """Members' losses with each scale, and the means with their standard errors."""
    pairs = [(k, v) for k, own in zip(seen.kinds, seen.losses, strict=True) for v in own]
    kinds, values = zip(*pairs, strict=True)
    means = np.array([own.mean() for own in seen.losses])
    spread = np.array([own.std(ddof=min(1, len(own) - 1)) / len(own) ** 0.5 for own in seen.losses])
    bar = {"type": "data", "array": [short_or_none(s) for s in spread], "color": INK}
    traces = [
        points(list(kinds), np.array(values, float), "a member", GREY, size=7, opacity=0.6),
        points(list(seen.kinds), means, "mean ± standard error", BLUE, size=11, symbol="diamond")
        | {"error_y": bar},
    ]
    return Figure(
        name="scales",
        title="Validation loss by time scaling",
        summary=f"{count(len(seen.losses[0]), 'member')} with each scale, of the same seeds. "
        f"Suggested: {seen.suggestion}.",
        traces=traces,
        layout=titles("time scaling", "best validation loss", xaxis_type="category"),
    )


def short_or_none(value: float) -> float | None:
    """A finite number, or nothing."""
    return float(value) if np.isfinite(value) else None


def _ends(seen: RateCurve) -> tuple[float, float]:
    """Of the loss's axis: what comes before the minimum, and some of what follows."""
    before = seen.median[: seen.minimum + 1]
    before = before[np.isfinite(before)] if np.isfinite(before).any() else np.zeros(1)
    low, high = float(before.min()), float(before.max())
    room = (high - low) or abs(high) or 1.0
    return low - 0.15 * room, high + 0.4 * room


def _sections(finding: Finding) -> Iterator[tuple[str, str, str]]:
    rows = [dict(row) for row in finding.rows]
    shown = rows_table(finding.caption, list(rows[0]), rows) if rows else ""
    yield "measured", "What was measured", grid(figures(finding)) + shown
    paste = "\n".join(finding.paste)
    yield "use", "To use it", f"<pre>{escape(paste)}</pre>" if paste else ""
    yield "about", "The measurement", facts(dict(finding.about)) if finding.about else ""


def _top(finding: Finding) -> str:
    said = "".join(f'<p class="lead">{escape(s)}</p>' for s in finding.sentences)
    return (
        f'<header class="top"><p class="eyebrow">{FISH}Shoal · {escape(finding.what)}</p>'
        f"<h1>{escape(finding.name)}</h1>{said}</header>"
    )
