"""What the pictures of `Inside` share: colours, rows, columns, scales and words.

Columns are observations, one as wide as the other however much time lies between them; rows are
neurons, or what the answer leans on. Neurons are coloured by their role in the wiring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shoal.report import figure as f
from shoal.report.figure import Choice
from shoal.report.inside import Cell, Inside
from shoal.report.measures import short
from shoal.report.wiring import COLORS

SIGNED = [  # below zero, zero, above zero; told apart by colour-blind readers
    [0, "#00406b"],
    [0.25, "#4a9fd0"],
    [0.5, "#ffffff"],
    [0.75, "#ef8a47"],
    [1, "#8f2d00"],
]
SLOW = [[0, "#f3f8fb"], [0.35, "#a6cde3"], [0.7, "#3783b5"], [1, "#06304d"]]
BLANK = "#e8ebef"  # where there is nothing to show
COLUMNS, ROWS, FEATURES = 400, 160, 60  # what a screen can show
LEFT, RIGHT = [0.0, 0.76], [0.785, 1.0]  # the two parts of a figure
ROOM = {"b": 48}  # pixels below, for the axes
AXIS = {"gridcolor": "#e4e7eb", "linecolor": "#9aa1ab", "showline": True, "automargin": True}


def heatmap(x: list, y: list, z: np.ndarray, scale: list, ends: tuple, title: str) -> dict:
    """A sheet of colours under a bar that says what they mean; `ends` are the bar's."""
    bar = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom"}
    bar |= {"len": 0.45, "thickness": 9, "outlinewidth": 0, "ypad": 6, "xpad": 0}
    bar |= {"title": {"text": title, "side": "top", "font": {"size": 12}}, "tickfont": {"size": 11}}
    sheet = {"type": "heatmap", "x": x, "y": y, "z": digits(z), "colorscale": scale}
    return sheet | {"zmin": ends[0], "zmax": ends[1], "colorbar": bar, "hoverongaps": False}


def labels(cell: Cell, order: Sequence[int] | np.ndarray) -> list[str]:
    """What rows are called, in the colour of the neuron's role."""
    return [colored(cell.labels[i], role_color(cell, i)) for i in order]


def role_color(cell: Cell, neuron: int, other: str = f.INK) -> str:
    """The colour of a neuron's role, or another where it has none."""
    return COLORS.get(cell.roles[neuron], other) if cell.roles else other


def colored(text: str, color: str) -> str:
    """A label inside a figure, in a colour."""
    return f'<span style="color:{color}">{f.label(text, 28)}</span>'


def chosen(choices: list[tuple[str, list[str]]], views: Mapping[str, list]) -> dict[str, Any]:
    """Lists with something to choose from; the others' only option is taken out of the keys.

    >>> chosen([("member", ["0"]), ("cell", ["a", "b"])], {"0,0": [], "0,1": []})["views"]
    {'0': [], '1': []}
    """
    many = [i for i, (_, options) in enumerate(choices) if len(options) > 1]
    if not many:
        return {"traces": next(iter(views.values()))}
    kept = {",".join(key.split(",")[i] for i in many): view for key, view in views.items()}
    lists = [Choice(label=choices[i][0], options=choices[i][1]) for i in many]
    return {"views": kept, "choices": lists}


def member_names(inside: Inside) -> list[str]:
    return [member.name for member in inside.members]


def columns(inside: Inside) -> np.ndarray:
    """The observations shown."""
    return f.thin(len(inside.values), COLUMNS)


def rows(cell: Cell) -> np.ndarray:
    """The neurons shown, in their order."""
    return cell.order[f.thin(len(cell.order), ROWS)]


def most_rows(cells: Sequence[Cell]) -> int:
    """Rows of the largest cell."""
    return max(min(cell.hidden.shape[1], ROWS) for cell in cells)


def categories(inside: Inside) -> list[str]:
    """Columns by number and time, so that no two are called alike."""
    dates, at = inside.dates, columns(inside).tolist()
    if inside.times is None:
        return [dates[i] for i in at]
    return [f"{i + 1} · {f.label(dates[i])}" for i in at]


def time_axis(inside: Inside) -> dict:
    """The axis of the columns, with a few of them named."""
    at, dates = columns(inside), inside.dates
    title = "observation" if inside.times is None else ""  # times speak for themselves
    shown = f.thin(len(at), 9)
    shown = shown[1::2] if len(shown) > 4 else shown  # none at the ends, where they would collide
    return {
        "type": "category",
        "tickvals": shown.tolist(),
        "ticktext": [f.label(dates[at[i]]) for i in shown],
        "tickangle": 0,
        "title": {"text": title, "standoff": 20},
        "range": [-0.5, len(at) - 0.5],
    }


def row_axis(many: int) -> dict:
    """The axis of that many rows, the first at the top."""
    font = {"size": 10 if many > 24 else 12}
    axis = {"type": "category", "range": [many - 0.5, -0.5], "showgrid": False, "tickfont": font}
    return axis | ({"tickmode": "linear", "dtick": 1} if many <= 72 else {"nticks": 40})


def side_axis(title: str) -> dict:
    """The axis of what stands to the right of a heatmap."""
    text = {"text": title, "font": {"size": 13}, "standoff": 8}
    return {"domain": RIGHT, "title": text, "anchor": "y", "tickangle": 0, **AXIS}


def white_side() -> dict:
    """A white ground for the right part, where grey would mean that nothing is known."""
    ends = {"x0": RIGHT[0], "x1": RIGHT[1], "y0": 0, "y1": 1, "xref": "paper", "yref": "paper"}
    return {"type": "rect", "fillcolor": "#fff", "line": {"width": 0}, "layer": "below", **ends}


def height(cells: Sequence[Cell]) -> int:
    """Pixels for one row per neuron."""
    return int(np.clip(140 + 15 * most_rows(cells), 260, 1100))


def reach(value: np.ndarray, share: float = 0.995) -> float:
    """How far colours go: nearly to the largest, so that one outlier does not pale the rest."""
    fine = np.abs(value[np.isfinite(value)])
    return (float(np.quantile(fine, share)) if len(fine) else 0.0) or 1.0


def has_clock(cell: Cell) -> bool:
    """Whether there is a time constant to show."""
    return cell.constants is not None and bool(np.isfinite(cell.constants).any())


def decades(cells: Sequence[Cell]) -> tuple[float, float]:
    """The ends of the colours of time constants, as powers of ten, a third at least apart."""
    value = np.concatenate([np.ravel(np.asarray(c.constants, float)) for c in cells])
    value = np.log10(value[np.isfinite(value) & (value > 0)])
    low, high = np.quantile(value, [0.02, 0.98]) if len(value) else (0.0, 1.0)
    lack = max(0.0, 1 / 3 - (high - low)) / 2
    return float(low - lack), float(high + lack)


def clock_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Time constants to write beside an axis from 10^low to 10^high, and their text.

    >>> clock_ticks(-0.2, 0.3)[1]
    ['0.7', '1', '1.5']
    """
    span = high - low
    steps = (1, 1.5, 2, 3, 5, 7) if span < 0.9 else (1, 2, 5) if span < 2.3 else (1,)
    marks = [s * 10.0**k for k in range(int(low) - 2, int(high) + 2) for s in steps]
    marks = [m for m in marks if low <= np.log10(m) <= high]
    return marks, [short(m) for m in marks]


def with_unit(inside: Inside, value: Any) -> str:
    """A time in words."""
    unit = inside.time_unit
    return f"{short(float(value))} {unit}s" if unit else short(float(value))


def unit_in(inside: Inside) -> str:
    """The unit of time behind a title."""
    return f" [{inside.time_unit}]" if inside.time_unit else ""


def digits(a: np.ndarray) -> list:
    """Rows of numbers with four significant digits, None where there is none."""
    return [[float(f"{v:.4g}") if np.isfinite(v) else None for v in row] for row in a.tolist()]
