"""Figures of a search: how it went, what mattered, and where good values lie."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from shoal.report.figure import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALE,
    RED,
    Choice,
    Figure,
    axis,
    label,
    line,
    listing,
    log_ticks,
    points,
    titles,
)
from shoal.report.measures import count, percent, short
from shoal.report.search import Path, SearchResults, Trial, called, last, values_of, varies

CURVES = 60  # drawn one by one; more cannot be told apart


def progress(r: SearchResults) -> Figure | None:
    """Every trial's value, and the best so far."""
    done = sorted(r.ranked, key=lambda trial: trial.number)
    if not done:
        return None
    name, sign = r.metrics[0], r.signs[0]
    numbers = np.array([trial.number for trial in done])
    values = np.array([trial.values[name] for trial in done])
    best = sign * np.minimum.accumulate(sign * values)
    lost = [t.number for t in r.trials if t.state == "failed"]
    traces = [
        points(numbers, values, "a trial", BLUE, size=7, opacity=0.6, text=_told(r, done)),
        line(numbers, best, "the best so far", INK) | {"line": {"color": INK, "shape": "hv"}},
    ]
    if lost:
        low = np.full(len(lost), values[np.argmin(sign * values)])
        traces.append(points(lost, low, "failed", RED, symbol="x"))
    found = r.ranked[0]
    return Figure(
        name="progress",
        title="How the search went",
        summary=f"{called(name)} of {count(len(done), 'complete trial')}. The best, "
        f"{short(found.values[name])}, was trial {found.number}"
        + (f"; {count(len(lost), 'trial')} failed." if lost else "."),
        traces=traces,
        layout=_within(titles("trial", called(name)), values, sign),
        switches=_log_switch(values),
    )


def importances(r: SearchResults) -> Figure | None:
    """How much each path mattered."""
    if not r.importances:
        return None
    ordered = sorted(r.importances.items(), key=lambda item: item[1])
    names, shares = zip(*ordered, strict=True)
    bar = {"type": "bar", "orientation": "h", "x": axis(np.array(shares))}
    return Figure(
        name="importance",
        title="What mattered",
        summary=f"Shares of what tells the better trials from the others (PED-ANOVA): "
        f"{names[-1]} {percent(shares[-1])}. With few trials these are rough.",
        traces=[bar | {"y": [label(n) for n in names], "marker": {"color": BLUE}, "name": "share"}],
        layout=titles("share", "", yaxis_automargin=True),
        height=max(220, 60 + 34 * len(names)),
    )


def slices(r: SearchResults, most: int = 12) -> list[Figure]:
    """The value against each path, those first that mattered most."""
    done = sorted(r.ranked, key=lambda trial: trial.number)
    paths = [path for path in r.paths if varies(path, done)]
    paths.sort(key=lambda path: -r.importances.get(path.name, 0.0))
    return [_slice(r, path, done) for path in paths[:most]] if len(done) > 1 else []


def _slice(r: SearchResults, path: Path, done: Sequence[Trial]) -> Figure:
    own = [trial for trial in done if path.name in trial.point]
    at, best = [trial.point[path.name] for trial in own], r.ranked[0]
    name = r.metrics[0]
    values = np.array([trial.values[name] for trial in own])
    shown = [label(str(v)) for v in at] if path.choices else np.array(at, float)
    traces = [points(shown, values, "a trial", BLUE, size=8, opacity=0.6, text=_told(r, own))]
    if path.name in best.point:
        at_best = best.point[path.name]
        x = [label(str(at_best))] if path.choices else [at_best]
        traces.append(points(x, [best.values[name]], "the best", ORANGE, symbol="star", size=13))
        said = f"the best has {short(at_best)}."
    else:
        said = "the best has none."
    layout = _within(titles(path.name, called(name)), values, r.signs[0])
    if path.log:
        layout["xaxis"] |= log_ticks(min(map(float, at)), max(map(float, at)))
    return Figure(
        name=f"slice-{path.name.replace('.', '-')}",
        title=path.name,
        summary=f"{called(name)} against {path.name}; {said}",
        traces=traces,
        layout=layout,
        height=300,
        half=True,
    )


def curves(r: SearchResults) -> Figure | None:
    """What trials had reached on the way, where they were watched."""
    watched = [trial for trial in r.trials if trial.curve]
    if all(len(trial.curve) < 2 for trial in watched):
        return None
    kept = sorted(watched, key=lambda t: min(r.signs[0] * v for v in t.curve.values()))[:CURVES]
    colors = {"complete": BLUE, "pruned": PALE, "failed": RED}
    seen, traces = set(), []
    for trial in sorted(kept, key=lambda t: t.state == "complete"):
        epochs, values = zip(*sorted(trial.curve.items()), strict=True)
        own = line(epochs, values, trial.state, colors.get(trial.state, GREY), width=1.5)
        own |= {"mode": "lines+markers", "marker": {"size": 4}}  # one point is no line
        own |= {"legendgroup": trial.state, "showlegend": trial.state not in seen}
        traces.append(own | {"text": [f"trial {trial.number}"] * len(epochs)})
        seen.add(trial.state)
    ended = [t for t in r.trials if t.state == "pruned"]
    said = f" {count(len(ended), 'trial')} ended early." if ended else ""
    positive = all(value > 0 for trial in kept for value in trial.curve.values())
    scale = "log" if positive else "linear"  # a log-likelihood has either sign
    return Figure(
        name="curves",
        title="Trials while they trained",
        summary=f"The validation loss of {'the best ' if len(kept) < len(watched) else ''}"
        f"{count(len(kept), 'trial')} at some epochs.{said}",
        traces=traces,
        layout=titles("epoch", "validation loss", xaxis_type="log", yaxis_type=scale),
    )


def fronts(r: SearchResults) -> Figure | None:
    """Two metrics against each other, for every two."""
    pairs = list(combinations(range(len(r.metrics)), 2))
    if not pairs or not r.ranked:
        return None
    front = {trial.number for trial in r.front}
    groups = [
        ("beaten in all", PALE, "circle", [t for t in r.ranked if t.number not in front]),
        ("beaten by none", ORANGE, "diamond", r.front),
    ]
    names = [called(name) for name in r.metrics]
    views = {}
    for place, (a, b) in enumerate(pairs):
        views[str(place)] = [
            points(
                values_of(own, r.metrics[a]),
                values_of(own, r.metrics[b]),
                name,
                color,
                symbol=symbol,
                size=9,
                text=_told(r, own),
            )
            for name, color, symbol, own in groups
        ]
    first = pairs[0]
    return Figure(
        name="front",
        title="What is gained in one is lost in another",
        summary=f"{count(len(r.front), 'trial')} of {len(r.ranked)} that no other one beats in "
        f"{listing(names)} together; which of them is best is for you to say.",
        views=views,
        choices=[
            Choice(label="show", options=[f"{names[a]} and {names[b]}" for a, b in pairs]),
        ],
        layout=titles(names[first[0]], names[first[1]]) if len(pairs) == 1 else {},
    )


def _told(r: SearchResults, trials: Sequence[Trial]) -> list[str]:
    """What is shown where one points at a trial."""
    return [
        f"trial {t.number}<br>"
        + "<br>".join(f"{label(last(k))}: {label(short(v))}" for k, v in t.point.items())
        for t in trials
    ]


def _within(layout: dict[str, Any], values: np.ndarray, sign: int) -> dict[str, Any]:
    """The layout with a range that hopeless trials do not blow up."""
    order = np.sort(sign * values)
    low, high = order[0], order[min(int(0.9 * len(order)), len(order) - 1)]
    if len(order) >= 8 and order[-1] - low > 4 * (high - low):
        ends = (sign * (low - 0.1 * (high - low)), sign * (high + 0.3 * (high - low)))
        layout["yaxis"]["range"] = sorted(map(float, ends))
    return layout


def _log_switch(values: np.ndarray) -> Sequence[tuple[str, dict[str, Any]]]:
    if (values <= 0).any() or values.max() < 30 * values.min():
        return ()
    plain, logarithmic = {"yaxis": {"type": "linear"}}, {"yaxis": {"type": "log", "range": None}}
    return (("plain", plain), ("logarithmic", logarithmic))
