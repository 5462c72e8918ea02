"""Parallel coordinates of a search: a line for each complete trial, through all it was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shoal.report.figure import SCALE, Figure, axis, label, log_ticks
from shoal.report.measures import short
from shoal.report.search import Path, SearchResults, Trial, called, last, values_of, varies


def parallel(r: SearchResults) -> Figure | None:
    """Parallel coordinates: a line for each complete trial, through everything it was given."""
    done = r.ranked[::-1]  # the best are drawn last, on top
    paths = [path for path in r.paths if varies(path, done)]
    if len(done) < 2 or not paths:
        return None
    axes = [_coordinate(path, done) for path in paths]
    axes += [_reached(r, name, done) for name in r.metrics]
    first = np.array(values_of(done, r.metrics[0]))
    ranks = np.argsort(np.argsort(r.signs[0] * first)) / max(len(done) - 1, 1)
    color = {"color": axis(1.0 - ranks), "colorscale": SCALE, "cmin": 0, "cmax": 1}
    return Figure(
        name="parallel",
        title="Trials, from what they were given to what they reached",
        summary="A line is a trial; the darker, the better its rank. Drag along an axis to keep "
        "only the trials that pass there, and an axis's name to move it.",
        traces=[{"type": "parcoords", "line": color, "dimensions": axes, "labelside": "top"}],
        layout={"margin": {"l": 64, "r": 64, "t": 64, "b": 24}},
        height=460,
    )


def _coordinate(path: Path, done: Sequence[Trial]) -> dict[str, Any]:
    """One axis of the parallel coordinates; what did not apply lies below everything else."""
    given = [trial.point.get(path.name) for trial in done]
    if path.choices:
        texts = [str(choice) for choice in path.choices]
        at: Callable[[Any], float] = lambda v: float(texts.index(str(v)))  # noqa: E731
        ticks = {"tickvals": list(range(len(texts))), "ticktext": [label(t, 18) for t in texts]}
    else:
        at = np.log10 if path.log else float
        known = [float(v) for v in given if v is not None]
        ticks = _log_marks(min(known), max(known)) if path.log else {}
    values = np.array([np.nan if v is None else at(v) for v in given], float)
    low, high = np.nanmin(values), np.nanmax(values)
    span = (high - low) or 1.0
    if np.isnan(values).any():
        nowhere = low - 0.15 * span
        marks = ticks or {
            "tickvals": axis(np.array([low, high])),
            "ticktext": [short(low), short(high)],
        }
        ticks = {
            "tickvals": [*marks["tickvals"], float(nowhere)],
            "ticktext": [*marks["ticktext"], "–"],
        }
        values, low = np.where(np.isnan(values), nowhere, values), nowhere
    return {
        "label": label(last(path.name), 24),
        "values": axis(values),
        "range": [float(low), float(high if high > low else low + 1)],
        **ticks,
    }


def _reached(r: SearchResults, metric: str, done: Sequence[Trial]) -> dict[str, Any]:
    """A metric's axis; in the logarithm where the worst would press the others together."""
    values = np.array([trial.values[metric] for trial in done])
    wide = values.min() > 0 and values.max() > 10 * np.median(values)
    ticks = _log_marks(values.min(), values.max()) if wide else {}
    shown = np.log10(values) if wide else values
    return {"label": label(called(metric), 24), "values": axis(shown), **ticks}


def _log_marks(low: float, high: float) -> dict[str, Any]:
    found = log_ticks(low, high) if high > low else {"tickvals": [low], "ticktext": [f"{low:g}"]}
    logs = np.log10(np.array(found["tickvals"]))
    inside = (logs >= np.log10(low) - 1e-9) & (logs <= np.log10(high) + 1e-9)
    texts = [text for text, kept in zip(found["ticktext"], inside, strict=True) if kept]
    ends = [np.log10(low), np.log10(high)] if len(texts) < 2 else []
    return {
        "tickvals": [*axis(logs[inside]), *map(float, ends)],
        "ticktext": [*texts, *([f"{low:.3g}", f"{high:.3g}"] if ends else [])],
    }
