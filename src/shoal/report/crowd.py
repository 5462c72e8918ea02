"""Diversity of the crowd as scores give it: what is common to members, and what the crowd gains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import numpy as np

from shoal.report import figure as f
from shoal.report.figure import Figure
from shoal.report.measures import percent, short
from shoal.report.results import Classification, Results
from shoal.report.tables import table

NAMES = {
    "variance": ("variance between members", "of what they say, around their weighted mean"),
    "error_correlation": ("correlation of errors", "mean over pairs; 1: a second adds nothing"),
    "disagreement": ("disagreement", "pairs of which one is right, the other wrong"),
    "vote_disagreement": ("unlike votes", "pairs that name different classes"),
    "q_statistic": ("Q statistic", "of being right; 0 independent, 1 always together"),
    "correlation": ("correlation of being right", "mean over pairs"),
    "double_fault": ("double fault", "pairs that are both wrong"),
    "kohavi_wolpert": ("Kohavi-Wolpert variance", "of being right, over the members"),
}
PARTS = {"brier": "Brier score", "cross_entropy": "Cross-entropy of the geometric mean"}
MOST = 64


def diversity_table(results: Results) -> str:
    """Measures of diversity, and the decomposition that adds up."""
    found = results.diversity
    if not found:
        return ""
    rows = [(*NAMES[k], found[k]) for k in NAMES if found.get(k) is not None]
    body = "".join(
        f'<tr><th class="text">{escape(name)}</th><td>{escape(short(value))}</td>'
        f'<td class="text">{escape(note)}</td></tr>'
        for name, note, value in rows
    )
    head = '<th class="text">measure</th><th>value</th><th class="text">what it is</th>'
    measures = table("How unlike the members are, on held-out data", head, body) if rows else ""
    return _decompositions(found.get("ambiguity")) + measures


def _decompositions(ambiguity: Mapping[str, Any] | None) -> str:
    if not ambiguity:
        return ""
    if "crowd" in ambiguity:
        return _adds_up("Squared error", ambiguity)
    return "".join(_adds_up(PARTS[k], v) for k, v in ambiguity.items() if v is not None)


def _adds_up(what: str, parts: Mapping[str, Any]) -> str:
    if any(parts.get(k) is None for k in ("crowd", "members", "diversity")):
        return ""
    crowd, single, spread = (short(parts[k]) for k in ("crowd", "members", "diversity"))
    return (
        f"<p>{what} of the crowd = weighted mean of the members' − their disagreement: "
        f"<b>{crowd} = {single} − {spread}</b>. What the members disagree on is what averaging "
        "takes off.</p>"
    )


def class_figures(c: Classification) -> Iterator[Figure]:
    """Who is right together with whom; accuracy and Brier score by number of members."""
    if c.members is None or len(c.members) < 2 or not len(c.labels):
        return
    alive = np.isfinite(c.members).all((1, 2))
    if alive.sum() < 2:
        return
    members, names = c.members[alive], [f"{i}" for i in c.member_indices[alive]]
    yield _agreement(members[:MOST], names[:MOST])
    yield _crowd_size(members, c.labels)


def _agreement(members: np.ndarray, names: list[str]) -> Figure:
    votes = members.argmax(-1)
    same = (votes[:, None] == votes[None]).mean(-1)
    off = same[~np.eye(len(same), dtype=bool)]
    grid = {"type": "heatmap", "z": f.axis(same.round(4)), "x": names, "y": names}
    grid |= {"zmin": min(0.5, float(off.min())), "zmax": 1, "colorscale": f.SCALE}
    grid |= {"xgap": 1, "ygap": 1, "colorbar": {"thickness": 12, "tickformat": ".0%"}}
    grid |= {"hovertemplate": "members %{x} and %{y} agree on %{z:.1%}<extra></extra>"}
    if len(names) <= 8:
        grid["texttemplate"] = "%{z:.0%}"
    layout = f.titles("member", "member", xaxis_type="category", yaxis_type="category")
    layout["yaxis"] |= {"autorange": "reversed"}
    return Figure(
        name="agreement",
        title="How often two members name the same class",
        summary=f"Two members agree on {percent(float(off.mean()))} of the rows on average. Where "
        "all agree, a crowd answers as each of them.",
        traces=[grid],
        layout=layout,
        height=400,
        half=True,
    )


def _crowd_size(members: np.ndarray, labels: np.ndarray) -> Figure:
    """Brier score of the mean of k members, exactly: E = (a + (k−1) b)/k, as for squared errors."""
    error = (members - np.eye(members.shape[-1])[labels]).reshape(len(members), -1)
    product = error @ error.T / len(labels)
    m, own = len(product), np.trace(product) / len(product)
    pair = (product.sum() - np.trace(product)) / (m * (m - 1))
    k = np.arange(1, m + 1)
    curve = (own + (k - 1) * pair) / k
    gain = 1 - curve[-1] / curve[0] if curve[0] else 0.0
    return Figure(
        name="crowd-size",
        title="What one more member brings",
        summary=f"Brier score of the plain average of k members, over all choices of k. {m} "
        f"members are {percent(gain)} better than one; the dashed line is where ever more of the "
        "same kind would end.",
        traces=[
            f.line(k, 0 * k + pair, "limit", f.INK, dash="dash", width=1.4, hoverinfo="skip"),
            f.line(k, curve, "average of k members", f.BLUE, symbol="circle", width=2.4),
        ],
        layout=f.titles("members k", "Brier score", xaxis_dtick=max(1, m // 8)),
        height=400,
        half=True,
    )
