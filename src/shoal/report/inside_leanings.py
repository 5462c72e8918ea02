"""What an answer leans on, as a figure: inputs by steps, and all steps together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shoal.report import figure as f
from shoal.report import inside_words as words
from shoal.report.figure import Figure
from shoal.report.inside import Inside
from shoal.report.inside_parts import (
    BLANK,
    FEATURES,
    LEFT,
    ROOM,
    SIGNED,
    categories,
    chosen,
    colored,
    columns,
    digits,
    heatmap,
    reach,
    row_axis,
    side_axis,
    time_axis,
    white_side,
)
from shoal.report.measures import short
from shoal.report.wiring import COLORS


def leanings(inside: Inside) -> Iterator[Figure]:
    """What the answer leans on, input by input and step by step."""
    who = list(inside.leanings)
    if not who:
        return
    what = list(inside.leanings[who[0]])
    views = {
        f"{i},{j}": _lean_view(inside, inside.effects(inside.leanings[name][asked]))
        for i, name in enumerate(who)
        for j, asked in enumerate(what)
    }
    many = min(len(inside.inputs), FEATURES + 1)
    layout = {"xaxis": time_axis(inside) | {"domain": LEFT}, "plot_bgcolor": BLANK, "bargap": 0.3}
    layout |= {"yaxis": row_axis(many), "shapes": [white_side()], "showlegend": False}
    layout["margin"] = ROOM
    layout["xaxis2"] = side_axis("all steps") | {"rangemode": "tozero", "nticks": 3}
    yield Figure(
        name="leanings",
        title="What the answer leans on",
        summary=words.of_leanings(inside),
        layout=layout,
        height=max(300, 160 + 30 * many),
        **chosen([("of", who), ("answer", what)], views),
    )


def _lean_view(inside: Inside, effects: np.ndarray) -> list[dict]:
    shown, most = strongest(effects), reach(effects, 1.0)
    part = known_effects(inside, effects)[np.ix_(columns(inside), shown)].T
    names = [colored(inside.inputs[i], COLORS["sensory"]) for i in shown]
    root = np.sign(part) * np.sqrt(np.abs(part) / most)
    sheet = heatmap(categories(inside), names, root, SIGNED, (-1.0, 1.0), "change of the answer")
    hover = "%{y}, at %{x}<br>%{customdata:+.4g} per standard deviation<extra></extra>"
    sheet |= {"customdata": digits(part), "hovertemplate": hover}
    marks = (-1, 0, 1)
    text = [short(m * most).replace("-", "−") for m in marks]
    sheet["colorbar"] |= {"tickvals": marks, "ticktext": text}
    bars = {"type": "bar", "orientation": "h", "y": names, "xaxis": "x2"}
    bars |= {"x": f.axis(np.abs(effects).sum(0)[shown]), "marker": {"color": f.GREY}}
    return [sheet, bars | {"hovertemplate": "%{y}: %{x:.4g}<extra></extra>"}]


def known_effects(inside: Inside, effects: np.ndarray) -> np.ndarray:
    """(T, F + 1), NaN where the value is missing."""
    missing = np.isnan(np.concatenate([inside.values, inside.elapsed[:, None]], axis=1))
    return np.where(missing, np.nan, effects)


def strongest(effects: np.ndarray) -> np.ndarray:
    """The rows shown, in their own order: all, or the strongest and the elapsed time."""
    last = effects.shape[1] - 1
    if last <= FEATURES:
        return np.arange(last + 1)
    best = np.argsort(-np.abs(effects[:, :last]).sum(0))[:FEATURES]
    return np.append(np.sort(best), last)
