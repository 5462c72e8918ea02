"""Does the promised uncertainty hold: coverage by level and by lead time, and PIT."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shoal.report import figure as f
from shoal.report.figure import Figure
from shoal.report.forecast import lead
from shoal.report.measures import (
    bounds,
    in_keeping,
    inside,
    mean,
    normal_cdf,
    percent,
    promise,
    window_range,
)
from shoal.report.results import Evaluation

LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
OVERLAP = "The grey band is where chance alone would put it if the windows were independent."


def calibration_figures(e: Evaluation) -> Iterator[Figure]:
    """Whatever can be drawn of: coverage by level, PIT, coverage by lead time."""
    table = coverage_by_level(e)
    if table is not None:
        yield _by_level(e, *table)
    u = transform(e)
    if u is not None and len(u):
        yield _pit(u, len(e.y))
    if inside(e) is not None and e.y.shape[1] > 1:
        yield _by_lead(e)


def coverage_by_level(e: Evaluation) -> tuple[np.ndarray, np.ndarray] | None:
    """Levels (L,) and found coverage (L, H or 1): given, or of normal intervals."""
    if e.levels is not None and e.coverage is not None:
        return e.levels, e.coverage
    if e.std is None or not e.y_mask.any():
        return None
    z = np.abs(e.y - e.mean) / np.where(e.std > 0, e.std, np.nan)
    reach = 2 * normal_cdf(np.nan_to_num(z, nan=9.0)) - 1
    mask = e.y_mask & np.isfinite(z)
    return LEVELS, np.stack([mean(reach <= level, mask, (0, 2)) for level in LEVELS])


def transform(e: Evaluation) -> np.ndarray | None:
    """All PIT values in one row, given or of the normal with `mean` and `std`."""
    if e.pit is not None:
        return e.pit[e.y_mask & np.isfinite(e.pit)]
    if e.std is None:
        return None
    mask = e.y_mask & np.isfinite(e.mean) & (e.std > 0)
    return normal_cdf((e.y[mask] - e.mean[mask]) / e.std[mask])


def _by_level(e: Evaluation, levels: np.ndarray, found: np.ndarray) -> Figure:
    x = np.linspace(0, 1, 41)
    traces = f.band(x, *window_range(x, len(e.y)), "chance", f.GREY, 0.25)
    traces.append(f.line([0, 1], [0, 1], "promised = found", f.INK, dash="dash", width=1.4))
    text = {"hovertemplate": "promised %{x:.0%}, found %{y:.0%}<extra></extra>"}
    known = np.isfinite(found)
    overall = mean(np.where(known, found, 0.0), known, 1)
    if found.shape[1] > 1:
        for h, style in zip(f.thin(found.shape[1], 3), f.SERIES, strict=False):
            color, dash, symbol = style
            more = {"dash": dash, "symbol": symbol, "width": 1.5}
            traces.append(f.line(levels, found[:, h], lead(e, h), color, **more, **text))
    if e.raw_coverage is not None:
        style = {"dash": "longdash", "symbol": "circle-open", "width": 1.5}
        traces.append(f.line(levels, e.raw_coverage, "members' own", f.INK, **style, **text))
    name = "all lead times" if found.shape[1] > 1 else "found"
    traces.append(f.line(levels, overall, name, f.BLUE, width=3, symbol="circle", **text))
    at = int(np.argmin(np.abs(levels - promise(e))))
    low, high = in_keeping(float(levels[at]), len(e.y))
    verdict = "in keeping with the promise"
    if not low <= overall[at] <= high:
        verdict = "too narrow" if overall[at] < low else "too wide"
    return Figure(
        name="coverage",
        title="Promised and found coverage",
        summary=f"{_whose(e)} {percent(levels[at])} intervals, {percent(overall[at])} held the "
        f"truth: {verdict}. Below the dashed line the collective is overconfident, "
        f"above it too modest. {OVERLAP}",
        traces=traces,
        layout=_shares(f.titles("promised coverage", "share of truths inside"), "xaxis", "yaxis"),
        height=400,
        half=True,
    )


def _whose(e: Evaluation) -> str:
    given = e.levels is not None and e.coverage is not None
    return "Of the" if given else "Of the predicted spread's own (normal, not calibrated)"


def _pit(u: np.ndarray, windows: int) -> Figure:
    bins = 10
    heights = np.histogram(np.clip(u, 0, 1), bins, (0, 1))[0] / max(len(u), 1) * bins
    low, high = window_range(1 / bins, windows)
    middle = (np.arange(bins) + 0.5) / bins
    bars = {"type": "bar", "x": f.axis(middle), "y": f.axis(heights), "width": 0.92 / bins}
    bars |= {
        "marker": {"color": f.SKY},
        "name": "found",
        "hovertemplate": "%{y:.2f}<extra></extra>",
    }
    edges = heights[[0, -1]].mean()
    shape = "The ends are high: the spread is too small." if edges > 1.5 else ""
    if not shape:
        hill = edges < 0.6
        shape = "The ends are low: the spread is too large." if hill else "It is roughly flat."
    tilt = heights[5:].mean() - heights[:5].mean()
    if abs(tilt) > 0.3:
        side = "low" if tilt > 0 else "high"
        shape += f" It leans to the {'right' if tilt > 0 else 'left'}: forecasts are too {side}."
    return Figure(
        name="pit",
        title="Where the truth falls in the predicted distribution",
        summary="If the predicted distributions were right, all bars would be about 1 high, "
        f"most between the dotted lines. {shape}",
        traces=[
            bars,
            *(
                f.line([0, 1], [bins * edge] * 2, "chance", f.INK, dash="dot", width=1.2)
                | {"legendgroup": "chance", "showlegend": not i, "hoverinfo": "skip"}
                for i, edge in enumerate((low, high))
            ),
            f.line([0, 1], [1, 1], "a perfect collective", f.INK, dash="dash", width=1.4),
        ],
        layout=f.titles("predicted probability of a lower value (PIT)", "density"),
        height=400,
        half=True,
    )


def _by_lead(e: Evaluation) -> Figure:
    shares, level = inside(e), promise(e)
    assert shares is not None
    name = (bounds(e) or ("", "", ""))[2]
    low, high = window_range(np.full(len(e.horizons), level), len(e.y))
    traces = f.band(e.horizons, low, high, "chance", f.GREY, 0.25)
    dashed = {"dash": "dash", "width": 1.4, "hoverinfo": "skip"}
    traces.append(
        f.line(e.horizons, low * 0 + level, f"promised {percent(level)}", f.INK, **dashed)
    )
    styles = [(f.BLUE, "solid", "circle"), *f.SERIES]
    for d, (color, dash, symbol) in zip(range(shares.shape[1]), styles, strict=False):
        style = {"dash": dash, "symbol": symbol, "width": 2.2}
        text = {"hovertemplate": "%{x}: %{y:.0%}<extra></extra>"}
        traces.append(f.line(e.horizons, shares[:, d], e.target_names[d], color, **style, **text))
    worst = np.unravel_index(np.nanargmin(shares), shares.shape)
    ends = [max(0.0, min(float(np.nanmin(shares)), float(low[0])) - 0.04), 1.012]
    layout = _shares(f.titles(f"lead time [{e.time_unit}s]", "share inside"), "yaxis")
    layout["yaxis"] |= {"range": ends, "dtick": 0.1 if ends[1] - ends[0] > 0.25 else 0.05}
    return Figure(
        name="coverage-by-lead",
        title=f"Coverage of the {name.split(' (')[0]} by lead time",
        summary=f"It is weakest at {lead(e, int(worst[0]))}"
        + (f" for {e.target_names[int(worst[1])]}" if shares.shape[1] > 1 else "")
        + f": {percent(shares[worst])} of the truths fell inside. {OVERLAP}"
        + " Neighbouring windows overlap, so real chance is wider.",
        traces=traces,
        layout=layout,
        height=320,
    )


def _shares(layout: dict, *axes: str) -> dict:
    for name in axes:
        layout[name] |= {"tickformat": ".0%", "range": [0, 1.02], "dtick": 0.2}
    return layout
