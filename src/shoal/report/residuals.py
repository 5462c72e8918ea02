"""What is left over: errors along time, their distribution, and how normal they are."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from shoal.report import figure as f
from shoal.report.figure import Choice, Figure
from shoal.report.forecast import TARGETS, lead
from shoal.report.measures import short
from shoal.report.results import Evaluation

POINTS, BINS = 500, 31


def residual_figures(e: Evaluation) -> Iterator[Figure]:
    """Over time (or over the prediction), histogram, quantile-quantile."""
    if not e.y_mask.any():
        return
    targets = range(min(e.y.shape[2], TARGETS))
    leads = f.thin(e.y.shape[1], 5)
    choices = [
        Choice(label="target", options=[e.target_names[d] for d in targets]),
        Choice(label="lead time", options=[lead(e, h) for h in leads], start=len(leads) - 1),
    ]
    keys = [(d, i, h) for d in targets for i, h in enumerate(leads)]
    yield Figure(
        name="residuals",
        title="Errors in the order of time" if e.times is not None else "Errors by prediction",
        summary="Prediction minus truth. A drift, a cycle or a fan shape means that there is "
        f"something left to learn. {_bias(e)}",
        views={f"{d},{i}": _along(e, h, d) for d, i, h in keys},
        choices=choices,
        layout=f.titles("" if e.times is not None else "predicted value", "prediction − truth")
        | {
            "yaxis": {"title": {"text": "prediction − truth"}, "zeroline": True, "zerolinewidth": 2}
        },
        height=320,
    )
    yield Figure(
        name="residual-histogram",
        title="How large the errors are",
        summary="The share of errors in each range. The curve is the normal distribution of the "
        "same mean and spread.",
        views={f"{d},{i}": _histogram(_errors(e, h, d)) for d, i, h in keys},
        choices=choices,
        layout=f.titles("prediction − truth", "density") | {"bargap": 0.06},
        height=330,
        half=True,
    )
    yield Figure(
        name="residual-quantiles",
        title="Are the errors normal?",
        summary="Quantiles of the standardised errors beside those of a normal distribution. Ends "
        "that bend away from the line are large errors that a normal does not expect.",
        views={f"{d},{i}": _quantiles(_errors(e, h, d)) for d, i, h in keys},
        choices=choices,
        layout=f.titles("normal quantile", "quantile of the errors"),
        height=330,
        half=True,
    )


def _errors(e: Evaluation, h: int, d: int) -> np.ndarray:
    error = (e.mean - e.y)[:, h, d]
    return error[e.y_mask[:, h, d] & np.isfinite(error)]


def _constant(errors: np.ndarray) -> bool:
    """Too few, or all the same up to rounding: no distribution to draw."""
    return len(errors) < 3 or bool(np.ptp(errors) <= 1e-9 * np.abs(errors).max())


def _along(e: Evaluation, h: int, d: int) -> list[dict]:
    rows = np.flatnonzero(e.y_mask[:, h, d])
    rows = rows[f.thin(len(rows), POINTS)] if len(rows) else rows
    x = e.times[rows, h] if e.times is not None else e.mean[rows, h, d]
    text = {"hovertemplate": "%{x}: %{y:.3g}<extra></extra>"}
    dots = f.points(x, (e.mean - e.y)[rows, h, d], "error", f.BLUE, opacity=0.65, **text)
    return [dots | {"showlegend": False}]


def _histogram(errors: np.ndarray) -> list[dict]:
    if _constant(errors):
        return []
    heights, edges = np.histogram(errors, min(BINS, max(5, int(2 * math.sqrt(len(errors))))))
    width, spread = np.diff(edges), errors.std() or 1.0
    x = np.linspace(edges[0], edges[-1], 80)
    normal = np.exp(-0.5 * ((x - errors.mean()) / spread) ** 2) / spread / math.sqrt(2 * math.pi)
    bars = {
        "type": "bar",
        "x": f.axis((edges[1:] + edges[:-1]) / 2),
        "y": f.axis(heights / width / len(errors)),
        "width": f.axis(width * 0.94),
        "name": "errors",
        "marker": {"color": f.SKY},
        "hovertemplate": "around %{x:.3g}: %{y:.3g}<extra></extra>",
    }
    return [bars, f.line(x, normal, "normal", f.INK, dash="dash", width=1.8, hoverinfo="skip")]


def _quantiles(errors: np.ndarray) -> list[dict]:
    if _constant(errors):
        return []
    from statistics import NormalDist

    shares = (f.thin(len(errors), 200) + 0.5) / len(errors)
    expected = np.array([NormalDist().inv_cdf(float(p)) for p in shares])
    found = np.quantile((errors - errors.mean()) / errors.std(), shares)
    ends = np.array([expected[0], expected[-1]])
    return [
        f.line(ends, ends, "normal", f.INK, dash="dash", width=1.8, hoverinfo="skip"),
        f.points(expected, found, "errors", f.BLUE, size=5),
    ]


def _bias(e: Evaluation) -> str:
    """Is the middle of the errors off zero, at the longest lead time of the first target?"""
    errors = _errors(e, -1, 0)
    if _constant(errors):
        return ""
    share = abs(errors.mean()) / math.sqrt((errors**2).mean())
    side = "high" if errors.mean() > 0 else "low"
    where = f" at {lead(e, e.y.shape[1] - 1)}" if e.y.shape[1] > 1 else ""
    text = f"The forecasts of {e.target_names[0]}{where} are on average {short(errors.mean())} off"
    return f"{text}, that is too {side}." if share > 0.3 else f"{text}: little bias."
