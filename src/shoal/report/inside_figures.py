"""The figures of `Inside` for a page: what is read, states, time constants, sensitivities."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shoal.report import figure as f
from shoal.report import inside_words as words
from shoal.report.figure import Figure
from shoal.report.inside import Cell, Inside
from shoal.report.inside_leanings import leanings
from shoal.report.inside_parts import (
    AXIS,
    BLANK,
    FEATURES,
    LEFT,
    ROOM,
    SIGNED,
    SLOW,
    categories,
    chosen,
    clock_ticks,
    columns,
    decades,
    digits,
    has_clock,
    heatmap,
    height,
    labels,
    member_names,
    most_rows,
    reach,
    role_color,
    row_axis,
    rows,
    side_axis,
    time_axis,
    unit_in,
    white_side,
    with_unit,
)


def inside_figures(inside: Inside) -> Iterator[tuple[str, list[Figure]]]:
    """Figures by section."""
    yield "reads", [reads(inside)]
    yield "states", [states(inside), *traces(inside)]
    yield "clocks", list(clocks(inside))
    yield "leans", list(leanings(inside))


def reads(inside: Inside) -> Figure:
    """The sequence, feature by feature, over the time between its observations."""
    at, names = columns(inside), categories(inside)
    shown = range(min(len(inside.feature_names), FEATURES))
    waits = {"type": "bar", "x": names, "y": f.axis(inside.elapsed[at]), "yaxis": "y2"}
    waits |= {"marker": {"color": f.GREY}, "name": "elapsed time", "showlegend": False}
    unit = f.label(inside.time_unit)
    waits |= {"hovertemplate": f"%{{x}}: %{{y:.4g}} {unit}<extra></extra>"}
    style = {"symbol": "circle", "width": 1.6, "showlegend": False, "connectgaps": False}
    style |= {"hovertemplate": "%{x}: %{y:.6g}<extra></extra>"}
    views = {}
    for i in shown:
        curve = f.line([], inside.values[at, i], inside.feature_names[i], f.BLUE, **style)
        views[str(i)] = [curve | {"x": names}, waits]
    layout = {"xaxis": time_axis(inside) | {"anchor": "y2"}, "bargap": 0.15, "margin": ROOM}
    layout["yaxis"] = {"domain": [0.32, 1], "title": {"text": "value"}}
    layout["yaxis2"] = {"domain": [0, 0.22], "rangemode": "tozero", "nticks": 3, **AXIS}
    layout["yaxis2"] |= {"title": {"text": f"Δt{f.label(unit_in(inside))}", "font": {"size": 13}}}
    return Figure(
        name="reads",
        title="What is read",
        summary=words.of_reading(inside),
        layout=layout,
        height=330,
        **chosen([("feature", [str(inside.feature_names[i]) for i in shown])], views),
    )


def states(inside: Inside) -> Figure:
    """Every neuron's state over time; the memory of an LSTM as a further choice."""
    cells = inside.members[0].cells
    parts = [(k, "hidden") for k in range(len(cells))]
    parts += [(k, "memory") for k, cell in enumerate(cells) if cell.memory is not None]
    views = {}
    for m, member in enumerate(inside.members):
        for k, (number, part) in enumerate(sorted(parts)):
            cell = member.cells[number]
            views[f"{m},{k}"] = [_state_map(inside, cell, getattr(cell, part))]
    options = [cells[k].name + ("" if p == "hidden" else " · memory c") for k, p in sorted(parts)]
    return Figure(
        name="states",
        title="What every neuron holds",
        summary=words.of_states(cells[0]),
        layout={
            "xaxis": time_axis(inside),
            "yaxis": row_axis(most_rows(cells)),
            "margin": ROOM,
        },
        height=height(cells),
        **chosen([("member", member_names(inside)), ("cell", options)], views),
    )


def _state_map(inside: Inside, cell: Cell, value: np.ndarray) -> dict:
    order, most = rows(cell), reach(value)
    z = value[np.ix_(columns(inside), order)].T
    sheet = heatmap(
        categories(inside), labels(cell, order), z, SIGNED, (-most, most), "state after the step"
    )
    return sheet | {"hovertemplate": "%{y}, after %{x}<br>%{z:.4g}<extra></extra>"}


def traces(inside: Inside) -> Iterator[Figure]:
    """Of a CT-GRU how much it holds on each time scale."""
    cells = inside.members[0].cells
    kept = [k for k, cell in enumerate(cells) if cell.traces is not None]
    if not kept:
        return
    views = {
        f"{m},{k}": [_trace_map(inside, member.cells[number])]
        for m, member in enumerate(inside.members)
        for k, number in enumerate(kept)
    }
    many = max(len(np.asarray(cells[k].scales)) for k in kept)
    options = [("member", member_names(inside)), ("cell", [cells[k].name for k in kept])]
    yield Figure(
        name="traces",
        title="On which time scales it remembers",
        summary="Each row is a time scale, slow ones at the top; the darker, the larger the "
        "neurons' traces on it are on average. What is dark in a low row is forgotten soon.",
        layout={
            "xaxis": time_axis(inside),
            "yaxis": row_axis(many) | {"range": [-0.5, many - 0.5]},
            "margin": ROOM,
        },
        height=130 + 24 * many,
        **chosen(options, views),
    )


def _trace_map(inside: Inside, cell: Cell) -> dict:
    assert cell.traces is not None
    size = np.abs(cell.traces[columns(inside)]).mean(1).T
    names = [f"τ = {f.label(with_unit(inside, tau))}" for tau in np.asarray(cell.scales)]
    ends = 0.0, float(size.max()) or 1.0
    sheet = heatmap(categories(inside), names, size, SLOW, ends, "mean size")
    return sheet | {"hovertemplate": "%{y}, after %{x}<br>mean size %{z:.3g}<extra></extra>"}


def clocks(inside: Inside) -> Iterator[Figure]:
    """Time constants over time, and beside them each neuron's range."""
    cells = inside.members[0].cells
    kept = [k for k, cell in enumerate(cells) if has_clock(cell)]
    if not kept:
        return
    everyone = [m.cells[k] for m in inside.members for k in kept if has_clock(m.cells[k])]
    low, high = decades(everyone)
    views = {
        f"{m},{k}": _clock_view(inside, member.cells[number], low, high)
        for m, member in enumerate(inside.members)
        for k, number in enumerate(kept)
    }
    unit = f.label(unit_in(inside))
    layout = {"xaxis": time_axis(inside) | {"domain": LEFT}, "yaxis": row_axis(most_rows(cells))}
    marks, text = clock_ticks(low, high)
    layout["xaxis2"] = side_axis(f"range{unit}") | {"type": "log"}
    layout["xaxis2"] |= {"range": [low - 0.05, high + 0.05], "tickvals": marks, "ticktext": text}
    layout |= {"plot_bgcolor": BLANK, "showlegend": False, "shapes": [white_side()]}
    layout["margin"] = ROOM
    yield Figure(
        name="clocks",
        title=f"The time constant of every neuron, at every step{unit_in(inside)}",
        summary=words.of_clocks(inside, everyone),
        layout=layout,
        height=height(cells),
        **chosen(
            [("member", member_names(inside)), ("cell", [cells[k].name for k in kept])], views
        ),
    )


def _clock_view(inside: Inside, cell: Cell, low: float, high: float) -> list[dict]:
    order, tau = rows(cell), np.asarray(cell.constants, float)
    names = labels(cell, order)
    fine = np.where(np.isfinite(tau) & (tau > 0), tau, np.nan)
    part = fine[np.ix_(columns(inside), order)].T
    sheet = heatmap(categories(inside), names, np.log10(part), SLOW, (low, high), "τ")
    unit = f.label(inside.time_unit)
    sheet["hovertemplate"] = f"%{{y}}, at %{{x}}<br>τ = %{{customdata:.4g}} {unit}<extra></extra>"
    sheet["customdata"] = digits(part)
    marks, text = clock_ticks(low, high)
    sheet["colorbar"] |= {"tickvals": np.log10(marks).tolist(), "ticktext": text}
    return [sheet, *_ranges(names, fine[:, order], cell, order)]


def _ranges(names: list[str], tau: np.ndarray, cell: Cell, order: np.ndarray) -> list[dict]:
    """Each neuron's smallest to largest as a line, its median as a dot, its nominal as a dash."""
    known = [column[np.isfinite(column)] for column in tau.T]
    ends = [[c.min(), c.max(), np.nan] if len(c) else [np.nan] * 3 for c in known]
    middle = [float(np.median(c)) if len(c) else np.nan for c in known]
    base = {"type": "scatter", "xaxis": "x2", "yaxis": "y"}
    line = {"mode": "lines", "line": {"color": "#9aa1ab", "width": 3}, "hoverinfo": "skip"}
    line |= {"x": f.axis(np.ravel(ends)), "y": [y for name in names for y in (name, name, None)]}
    color = [role_color(cell, int(i), f.BLUE) for i in order]
    dots = {"mode": "markers", "x": f.axis(np.array(middle)), "y": names}
    dots |= {"marker": {"color": color, "size": 7}}
    dots |= {"hovertemplate": "%{y}: median %{x:.4g}<extra></extra>"}
    found = [base | line]
    if cell.nominal is not None:
        finite = np.where(np.isfinite(cell.nominal), cell.nominal, np.nan)[order]
        mark = {"symbol": "line-ns-open", "size": 10, "color": f.INK, "line": {"width": 1.6}}
        dash = {"mode": "markers", "x": f.axis(finite), "y": names, "marker": mark}
        found.append(base | dash | {"hovertemplate": "%{y}: nominal %{x:.4g}<extra></extra>"})
    return [*found, base | dots]
