"""The pictures of `Inside` on paper: one member and its first answer, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.report import figure as f
from shoal.report import inside_words as words
from shoal.report.inside import Cell, Inside
from shoal.report.inside_leanings import known_effects, strongest
from shoal.report.inside_parts import (
    BLANK,
    SIGNED,
    SLOW,
    clock_ticks,
    columns,
    decades,
    has_clock,
    reach,
    role_color,
    rows,
    unit_in,
)
from shoal.report.measures import short
from shoal.report.wiring import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SOFT, WIDTH, CAPTION = "#565d68", 10.5, 128

# inches, and what draws into axes of that height
Panel = tuple[float, Callable[["Axes"], None]]


def draw(inside: Inside) -> Figure:
    """A matplotlib figure: what is read, states and time constants of every cell, sensitivities.

    Raises:
        ImportError: without the package matplotlib.
    """
    panels = _panels(inside)
    heights = [height for height, _ in panels]
    size = WIDTH, sum(heights) + 0.75 * len(heights) + 0.5
    figure = _import("matplotlib.figure").Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.12, hspace=0.04)
    options = {"gridspec_kw": {"height_ratios": heights}, "squeeze": False}
    for axes, (_, paint) in zip(
        figure.subplots(len(panels), 1, **options)[:, 0], panels, strict=True
    ):
        paint(axes)
    figure.suptitle(inside.title, x=0.01, ha="left", weight="bold", size=15, color=f.INK)
    return figure


def _panels(inside: Inside) -> list[Panel]:
    cells = inside.members[0].cells
    found: list[Panel] = [(1.5, partial(_read, inside))]
    for cell in cells:
        tall = float(np.clip(0.13 * len(rows(cell)), 1.2, 8.0))
        more = f": {cell.name}" if len(cells) > 1 else ""
        found.append((tall, partial(_states, inside, cell, f"What every neuron holds{more}")))
        if has_clock(cell):
            title = f"The time constant of every neuron, at every step{unit_in(inside)}{more}"
            found.append((tall, partial(_clocks, inside, cell, title)))
    if inside.leanings:
        found.append((max(1.0, 0.24 * len(inside.inputs)), partial(_leans, inside)))
    return found


def _read(inside: Inside, axes: Axes) -> None:
    at = columns(inside)
    place = np.arange(len(at))
    for i, name in list(enumerate(inside.feature_names))[:6]:
        color = [f.BLUE, *(style[0] for style in f.SERIES)][i % 7]
        value = _unified(inside.values[at, i])
        axes.plot(place, value, color=color, lw=1.2, marker="o", ms=2.2, label=str(name))
    waits = axes.twinx()
    waits.bar(place, inside.elapsed[at], color=f.PALE, width=0.85)
    longest = max(float(inside.elapsed.max()), 1e-12)
    waits.set(ylim=(0, 4.5 * longest), yticks=[0, longest], yticklabels=["0", short(longest)])
    waits.set_ylabel(f"Δt{unit_in(inside)}", size=8, color=SOFT)
    axes.set_zorder(waits.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.set_yticks([])
    axes.legend(ncols=6, frameon=False, fontsize=8, loc="upper left", handlelength=1.2)
    axes.set_ylim(-0.45, 1.4)
    for one in (axes, waits):
        one.spines[["top", "left", "right"]].set_visible(False)
        one.spines["bottom"].set_color(f.PALE)
        one.tick_params(labelsize=8, colors=SOFT)
    _time(inside, axes)
    say = words.of_reading(inside).replace("below", "as grey bars")
    _title(axes, "What is read, each feature between its smallest and largest value", say)


def _unified(value: np.ndarray) -> np.ndarray:
    low, high = np.nanmin(value, initial=np.inf), np.nanmax(value, initial=-np.inf)
    return (value - low) / (high - low) if high > low else value * 0 + 0.5


def _states(inside: Inside, cell: Cell, title: str, axes: Axes) -> None:
    order, most = rows(cell), reach(cell.hidden)
    z = cell.hidden[np.ix_(columns(inside), order)].T
    _sheet(axes, z, SIGNED, (-most, most), "state")
    _neurons(cell, order, axes)
    _time(inside, axes)
    _title(axes, title, words.of_states(cell))


def _clocks(inside: Inside, cell: Cell, title: str, axes: Axes) -> None:
    order, (low, high) = rows(cell), decades([cell])
    tau = np.asarray(cell.constants, float)[np.ix_(columns(inside), order)].T
    fine = np.isfinite(tau) & (tau > 0)
    bar = _sheet(axes, np.log10(np.where(fine, tau, np.nan)), SLOW, (low, high), "τ")
    marks, text = clock_ticks(low, high)
    bar.set_ticks(np.log10(marks).tolist(), labels=text)
    _neurons(cell, order, axes)
    _time(inside, axes)
    _title(axes, title, words.of_clocks(inside, [cell], side=False))


def _leans(inside: Inside, axes: Axes) -> None:
    who, answers = next(iter(inside.leanings.items()))
    what, leaning = next(iter(answers.items()))
    effects = inside.effects(leaning)
    shown, most = strongest(effects), reach(effects, 1.0)
    part = known_effects(inside, effects)[np.ix_(columns(inside), shown)].T
    bar = _sheet(axes, np.sign(part) * np.sqrt(np.abs(part) / most), SIGNED, (-1.0, 1.0), "change")
    marks = np.array([-1, -0.25, 0, 0.25, 1])
    text = [short(float(m) * most).replace("-", "−") for m in marks]
    bar.set_ticks((np.sign(marks) * np.sqrt(np.abs(marks))).tolist(), labels=text)
    axes.set_yticks(np.arange(len(shown)), [str(inside.inputs[i]) for i in shown])
    for tick in axes.get_yticklabels():
        tick.set_color(COLORS["sensory"])
    _time(inside, axes)
    title = f"What the answer of {who} leans on ({what})"
    _title(axes, title, words.of_leanings(inside, side=False))


def _sheet(axes: Axes, z: np.ndarray, scale: list, ends: tuple[float, float], label: str) -> Any:
    """A heatmap and its colour bar."""
    make = _import("matplotlib.colors").LinearSegmentedColormap.from_list
    colors = make("shoal", [(float(at), color) for at, color in scale])
    options = {"cmap": colors, "vmin": ends[0], "vmax": ends[1], "aspect": "auto"}
    axes.set_facecolor(BLANK)
    image = axes.imshow(np.ma.masked_invalid(z), interpolation="nearest", **options)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03, aspect=14)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, colors=SOFT, length=2)
    bar.set_label(label, size=8, color=SOFT)
    axes.tick_params(labelsize=8, colors=SOFT, length=2)
    axes.spines[:].set_visible(False)
    return bar


def _neurons(cell: Cell, order: np.ndarray, axes: Axes) -> None:
    """Every neuron's name in the colour of its role; of many neurons some names."""
    shown = f.thin(len(order), 64)
    axes.set_yticks(shown, [cell.labels[order[i]] for i in shown])
    for tick, i in zip(axes.get_yticklabels(), shown, strict=True):
        tick.set(color=role_color(cell, int(order[i]), SOFT), fontsize=6 if len(order) > 16 else 8)


def _time(inside: Inside, axes: Axes) -> None:
    at, dates = columns(inside), inside.dates
    shown = f.thin(len(at), 6)
    axes.set_xticks(shown, [dates[at[i]] for i in shown])
    axes.set_xlim(-0.5, len(at) - 0.5)


def _title(axes: Axes, title: str, caption: str) -> None:
    text = fill(caption, CAPTION)
    pad = 9.0 + 11.5 * (text.count("\n") + 1)
    axes.set_title(title, loc="left", weight="bold", size=11, color=f.INK, pad=pad)
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(text, (0, 1), xytext=(0, 6), va="bottom", size=8.5, color=SOFT, **place)


def _import(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            "pictures other than .html need the package matplotlib: pip install 'shoal[draw]'."
        ) from error
