"""How unlike the members are: correlation of their errors, and what averaging gains."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shoal.report import figure as f
from shoal.report.figure import Figure
from shoal.report.measures import mean, percent, short
from shoal.report.results import Evaluation, Results

MOST = 64  # members in one picture


def diversity_figures(e: Evaluation) -> Iterator[Figure]:
    """Correlation of the members' errors; error by number of members."""
    if e.members is None or len(e.members) < 2:
        return
    scale = np.array([np.nanstd(e.y[..., d]) or 1.0 for d in range(e.y.shape[2])])
    alive = np.isfinite(e.members[:, e.y_mask]).all(1)
    if alive.sum() < 2:
        return
    error = ((e.members - e.y) / scale)[:, e.y_mask][alive]
    names = [f"{i}" for i in e.member_indices[alive]]
    yield _correlation(error[:MOST], names[:MOST])
    yield _crowd_size(error)


def ambiguity(e: Evaluation) -> tuple[float, float, float] | None:
    """Mean squared error of members, of their mean, and the disagreement that is between.

    (f̄ − y)² = mean (f_i − y)² − mean (f_i − f̄)², exactly, for equal weights (Krogh and Vedelsby).
    """
    if e.members is None or len(e.members) < 2:
        return None
    scale = np.array([np.nanstd(e.y[..., d]) or 1.0 for d in range(e.y.shape[2])])
    alive = e.members[np.isfinite(e.members[:, e.y_mask]).all(1)] / scale
    if len(alive) < 2:
        return None
    y, centre = np.where(e.y_mask, e.y, 0.0) / scale, alive.mean(0)
    square = lambda a: float(mean(a**2, e.y_mask))  # noqa: E731
    single = float(np.mean([square(m - y) for m in alive]))
    spread = float(np.mean([square(m - centre) for m in alive]))
    return single, square(centre - y), spread


def _correlation(error: np.ndarray, names: list[str]) -> Figure:
    spread = error.std(1, keepdims=True)
    z = (error - error.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1.0)
    r = z @ z.T / z.shape[1]
    off = r[~np.eye(len(r), dtype=bool)]
    grid = {
        "type": "heatmap",
        "z": f.axis(r.round(3)),
        "x": names,
        "y": names,
        "zmin": min(0.0, float(off.min())),
        "zmax": 1,
        "colorscale": f.SCALE,
        "xgap": 1,
        "ygap": 1,
        "colorbar": {"thickness": 12, "outlinewidth": 0},
        "hovertemplate": "members %{x} and %{y}: %{z:.2f}<extra></extra>",
    }
    if len(names) <= 8:
        grid["texttemplate"] = "%{z:.2f}"
    layout = f.titles("member", "member", xaxis_type="category", yaxis_type="category")
    every = {"dtick": max(1, len(names) // 12)}
    layout["xaxis"] |= every
    layout["yaxis"] |= {"autorange": "reversed"} | every
    return Figure(
        name="correlation",
        title="How alike the members' errors are",
        summary=f"Mean correlation of two members' errors: {short(float(off.mean()))}. At 1 a "
        "second member adds nothing; the lower, the more averaging helps.",
        traces=[grid],
        layout=layout,
        height=400,
        half=True,
    )


def _crowd_size(error: np.ndarray) -> Figure:
    """RMSE of the mean of k members: E = (a + (k−1) b)/k with a, b the mean products of errors."""
    product = error @ error.T / error.shape[1]
    m = len(product)
    own = np.trace(product) / m
    pair = (product.sum() - np.trace(product)) / (m * (m - 1))
    k = np.arange(1, m + 1)
    curve = np.sqrt(np.maximum((own + (k - 1) * pair) / k, 0))
    gain = 1 - curve[-1] / curve[0] if curve[0] else 0.0
    floor = np.sqrt(max(pair, 0.0))
    return Figure(
        name="crowd-size",
        title="What one more member brings",
        summary=f"Error of the plain average of k members, over all choices of k. {m} members are "
        f"{percent(gain)} better than one; the dashed line is where ever more of the same kind "
        "would end.",
        traces=[
            f.line(k, 0 * k + floor, "limit", f.INK, dash="dash", width=1.4, hoverinfo="skip"),
            f.line(k, curve, "average of k members", f.BLUE, symbol="circle", width=2.4),
        ],
        layout=f.titles("members k", "RMSE / spread of the target", xaxis_dtick=max(1, m // 8)),
        height=400,
        half=True,
    )


def time_constants(results: Results) -> Figure | None:
    """Every neuron's nominal time constant, member by member."""
    known = {k: np.atleast_2d(np.asarray(v, float)) for k, v in results.time_constants.items()}
    known = {k: v for k, v in known.items() if np.isfinite(v).any()}
    if not known:
        return None
    unit = f" [{results.time_unit}]" if results.time_unit else ""
    value = np.concatenate([v[np.isfinite(v)] for v in known.values()])
    log = bool((value > 0).all() and value.max() > 5 * value.min())
    ticks = f.log_ticks(float(value.min()), float(value.max())) if log else {"type": "linear"}
    return Figure(
        name="time-constants",
        title="Time constants of the liquid neurons",
        summary="Each dot is a neuron: the higher, the longer it remembers without input. They "
        f"reach from {short(value.min())} to {short(value.max())}"
        + (f" {results.time_unit}s" if results.time_unit else "")
        + f", with a median of {short(float(np.median(value)))}.",
        views={str(i): _boxes(v) for i, v in enumerate(known.values())},
        choices=[f.Choice(label="layer", options=[str(k) for k in known])],
        layout=f.titles(
            "member",
            f"time constant τ{unit}",
            xaxis_type="category",
            **{f"yaxis_{key}": value for key, value in ticks.items()},
        )
        | {"showlegend": False},
        height=360,
    )


def _boxes(tau: np.ndarray) -> list[dict]:
    boxes = []
    for i, row in enumerate(tau[:MOST]):
        row = row[np.isfinite(row)]
        boxes.append(
            {"type": "box", "y": f.axis(row), "name": str(i), "boxpoints": "all", "jitter": 0.6}
            | {"pointpos": 0, "fillcolor": "rgba(0,0,0,0)", "line": {"color": f.GREY, "width": 1}}
            | {"marker": {"color": f.BLUE, "size": 5, "opacity": 0.7}, "hoveron": "points"}
            | {"hovertemplate": f"member {i}: τ = %{{y:.3g}}<extra></extra>"}
        )
    return boxes
