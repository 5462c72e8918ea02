"""How the error grows with the lead time, and whether the spread knows about it."""

from __future__ import annotations

import numpy as np

from shoal.report import figure as f
from shoal.report.figure import Choice, Figure
from shoal.report.forecast import TARGETS, lead
from shoal.report.measures import doubling, mean, member_row, rmse, short
from shoal.report.results import Evaluation

BINS = 10


def by_lead(e: Evaluation, best_index: int | None) -> Figure | None:
    """RMSE of the collective, its members and the baselines at every lead time."""
    if e.y.shape[1] < 2 or not e.y_mask.any():
        return None
    targets = range(min(e.y.shape[2], TARGETS))
    twice = doubling(e)
    text = f"At {lead(e, 0)} the error of {e.target_names[0]} is {short(rmse(e, e.mean)[0, 0])}, "
    text += f"at {lead(e, e.y.shape[1] - 1)} {short(rmse(e, e.mean)[-1, 0])}. "
    if twice is None:
        text += "It never reaches twice that of the shortest lead time."
    else:
        at = list(e.horizons).index(twice)
        text += f"It is twice that of the shortest lead time from {lead(e, at)} on."
    return Figure(
        name="error-by-lead",
        title="Error by lead time",
        summary=text,
        views={str(d): _curves(e, d, best_index, twice) for d in targets},
        choices=[Choice(label="target", options=[e.target_names[d] for d in targets])],
        layout=f.titles(f"lead time [{e.time_unit}s]", "RMSE", yaxis_rangemode="tozero"),
        switches=_switches(e),
        height=400,
    )


def _curves(e: Evaluation, d: int, best_index: int | None, twice: float | None) -> list[dict]:
    x, traces = e.horizons, []
    own = rmse(e, e.mean)[:, d]
    if e.members is not None and len(e.members) > 1:
        each = np.stack([rmse(e, m)[:, d] for m in e.members])
        each = each[np.isfinite(each).all(1)]
        if len(each):
            traces += f.band(x, each.min(0), each.max(0), "range of the members", f.GREY, 0.25)
    for (name, p), (color, dash, symbol) in zip(e.baselines.items(), f.SERIES, strict=False):
        style = {"dash": dash, "symbol": symbol if len(x) <= 30 else None, "width": 1.8}
        traces.append(f.line(x, rmse(e, p)[:, d], name, color, **style))
    row = member_row(e, best_index)
    if row is not None and e.members is not None and len(e.members) > 1:
        best = rmse(e, e.members[row])[:, d]
        traces.append(f.line(x, best, f"best member ({best_index})", f.INK, dash="dot"))
    traces.append(f.line(x, own, "collective", f.BLUE, width=3.2, symbol="circle"))
    if twice is not None:
        top = np.nanmax(own)
        wall = f.line([twice, twice], [0, top], "twice the first error", f.GREY, dash="dot")
        traces.append(wall | {"hoverinfo": "skip"})
    return traces


def _switches(e: Evaluation) -> list[tuple[str, dict]]:
    """Where a poor baseline would squash the rest: close up, or all."""
    if e.y.shape[2] > 1 or not e.baselines:
        return []
    own = float(np.nanmax(rmse(e, e.mean)))
    if max(float(np.nanmax(rmse(e, p))) for p in e.baselines.values()) < 3 * own:
        return []
    close = {"yaxis": {"range": [0, 2.2 * own], "autorange": False}}
    return [("close up", close), ("all", {"yaxis": {"autorange": True}})]


def spread_against_error(e: Evaluation) -> Figure | None:
    """Does a large predicted spread mean a large error? In ten groups of equal size."""
    if e.std is None:
        return None
    mask = e.y_mask & np.isfinite(e.mean) & np.isfinite(e.std)
    std, error = e.std[mask], np.abs(e.mean - e.y)[mask]
    if len(std) < 2 * BINS or np.ptp(std) == 0:
        return None
    targets = range(min(e.y.shape[2], TARGETS))
    return Figure(
        name="spread-error",
        title="Spread against error",
        summary="Held-out predictions in groups of equal size, from the least to the most spread. "
        "On the dashed line the spread is exactly the typical error; above it the collective is "
        f"overconfident. {_ranks(std, error)}",
        views={str(d): _groups(e, d) for d in targets},
        choices=[Choice(label="target", options=[e.target_names[d] for d in targets])],
        layout=f.titles(
            "predicted standard deviation",
            "RMSE found",
            xaxis_rangemode="tozero",
            yaxis_rangemode="tozero",
        ),
        height=380,
        half=True,
    )


def parts_by_lead(e: Evaluation) -> Figure | None:
    """Aleatoric and epistemic parts of the spread by lead time."""
    if e.aleatoric is None or e.epistemic is None or e.y.shape[1] < 2:
        return None
    targets = range(min(e.y.shape[2], TARGETS))
    every = np.ones(e.y.shape[:1] + e.y.shape[1:], bool)
    parts = {k: np.sqrt(mean(getattr(e, k) ** 2, every, 0)) for k in ("aleatoric", "epistemic")}
    share = mean(parts["epistemic"] ** 2, every[0]) / max(
        float(mean(parts["epistemic"] ** 2 + parts["aleatoric"] ** 2, every[0])), 1e-300
    )
    styles = {"aleatoric": (f.ORANGE, "dash", "square"), "epistemic": (f.GREEN, "dot", "diamond")}
    views = {}
    for d in targets:
        curves = []
        for name, (color, dash, symbol) in styles.items():
            words = "noise in the data" if name == "aleatoric" else "members disagree"
            more = {"dash": dash, "symbol": symbol if len(e.horizons) <= 30 else None}
            curves.append(f.line(e.horizons, parts[name][:, d], f"{words} ({name})", color, **more))
        total = np.sqrt(parts["aleatoric"][:, d] ** 2 + parts["epistemic"][:, d] ** 2)
        views[str(d)] = [*curves, f.line(e.horizons, total, "both", f.BLUE, width=2.6)]
    return Figure(
        name="spread-parts",
        title="Where the uncertainty comes from",
        summary=f"{100 * float(share):.0f} % of the predicted variance is disagreement between "
        "members, which more data can reduce; the rest is noise that the members see in the data.",
        views=views,
        choices=[Choice(label="target", options=[e.target_names[d] for d in targets])],
        layout=f.titles(
            f"lead time [{e.time_unit}s]", "standard deviation", yaxis_rangemode="tozero"
        ),
        height=380,
        half=True,
    )


def _groups(e: Evaluation, d: int) -> list[dict]:
    mask = e.y_mask[..., d] & np.isfinite(e.mean[..., d]) & np.isfinite(e.std[..., d])
    std, error = e.std[..., d][mask], (e.mean - e.y)[..., d][mask]
    groups = np.array_split(np.argsort(std), BINS)
    x = np.array([np.sqrt((std[g] ** 2).mean()) for g in groups if len(g)])
    y = np.array([np.sqrt((error[g] ** 2).mean()) for g in groups if len(g)])
    if not len(x):
        return []
    top = max(x.max(), y.max()) * 1.05
    dots = f.line(x, y, "found", f.BLUE, symbol="circle", width=1.5)
    return [f.line([0, top], [0, top], "spread = error", f.INK, dash="dash", width=1.4), dots]


def _ranks(std: np.ndarray, error: np.ndarray) -> str:
    """Spearman's correlation of spread and absolute error, in words."""
    rank = np.stack([np.argsort(np.argsort(a)) for a in (std, error)])
    z = rank - rank.mean(1, keepdims=True)
    r = float((z[0] * z[1]).sum() / np.sqrt((z**2).sum(1).prod()))
    how = "well" if r > 0.4 else "somewhat" if r > 0.15 else "hardly"
    return f"The spread tells hard cases from easy ones {how} (rank correlation {short(r)})."
