"""One figure of the page: Plotly traces as plain dicts, the words that go with them, and controls.

The palette is Okabe and Ito's (https://jfly.uni-koeln.de/color/), told apart by colour-blind
readers; what colour says is said by dash or marker too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

INK, GREY, PALE = "#1b1f24", "#8b929c", "#c3c9d1"
BLUE, SKY, GREEN, ORANGE = "#0072B2", "#56B4E9", "#009E73", "#E69F00"
RED, PURPLE = "#D55E00", "#CC79A7"
SCALE = [[0, "#f4f8fb"], [0.5, "#a6cde3"], [1, "#00507d"]]  # one hue, light to dark
SERIES = [  # colour, dash, marker: for things without a colour of their own
    (ORANGE, "dash", "square"),
    (GREEN, "dashdot", "diamond"),
    (PURPLE, "dot", "triangle-up"),
    (RED, "longdash", "cross"),
    (SKY, "longdashdot", "x"),
    (GREY, "dash", "star"),
]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A list to choose from: `options` are labels, `start` the number of the first one shown."""

    label: str
    options: Sequence[str]
    start: int = 0


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure with its title and a summary in words.

    Args:
        name: id in the page.
        title, summary: plain text; the summary says what can be seen.
        traces: Plotly traces; or, with `choices`,
        views: "i" or "i,j" (numbers of the chosen options) → traces.
        layout: Plotly layout, laid over the page's own.
        choices: lists above the figure.
        switches: (label, layout) pairs, buttons of which one is on; the first at the start.
        height: pixels.
        half: whether two such figures stand side by side on a wide screen.
    """

    name: str
    title: str
    summary: str
    traces: Sequence[Mapping[str, Any]] = ()
    views: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    layout: Mapping[str, Any] = field(default_factory=dict)
    choices: Sequence[Choice] = ()
    switches: Sequence[tuple[str, Mapping[str, Any]]] = ()
    height: int = 380
    half: bool = False

    def html(self) -> str:
        """The figure's part of the page; `page.js` draws it."""
        start = ",".join(str(c.start) for c in self.choices)
        views = self.views or {"": list(self.traces)}
        switches = [layout for _, layout in self.switches]
        data = {"views": views, "start": start, "layout": self.layout, "switches": switches}
        kind = "half" if self.half else "wide"
        return (
            f'<figure id="{escape(self.name)}" class="{kind}"><h3>{escape(self.title)}</h3>'
            f"{self._controls()}"
            f'<div class="plot" role="img" style="height:{self.height}px" '
            f'data-height="{self.height}" '
            f'aria-label="{escape(f"{self.title}. {self.summary}")}"></div>'
            f'<script type="application/json">{in_script(data)}</script>'
            f"<figcaption>{escape(self.summary)}</figcaption></figure>"
        )

    def _controls(self) -> str:
        lists = "".join(_select(c) for c in self.choices if len(c.options) > 1)
        buttons = "".join(
            f'<button type="button" class="switch" aria-pressed="{str(not i).lower()}">'
            f"{escape(label)}</button>"
            for i, (label, _) in enumerate(self.switches)
        )
        group = f'<span class="switches" role="group">{buttons}</span>' if buttons else ""
        return f'<div class="controls">{lists}{group}</div>' if lists or group else ""


def _select(choice: Choice) -> str:
    options = "".join(
        f'<option value="{i}"{" selected" if i == choice.start else ""}>{escape(text)}</option>'
        for i, text in enumerate(choice.options)
    )
    step = '<button type="button" class="step" data-step="{}" aria-label="{} {}">{}</button>'
    label = escape(choice.label)
    before, after = (step.format(-1, "previous", label, "‹"), step.format(1, "next", label, "›"))
    return f"<label>{label} {before}<select>{options}</select>{after}</label>"


def in_script(data: Any) -> str:
    """JSON that no text inside can break out of a script element.

    >>> in_script({"name": "</script>", "loss": float("nan")})
    '{"name":"\\\\u003c/script\\\\u003e","loss":null}'
    """
    text = json.dumps(plain(data), separators=(",", ":"), allow_nan=False)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def plain(value: Any) -> Any:
    """Lists, dicts, text and finite numbers; anything else becomes null or its text."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return axis(value)
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else str(value)


def axis(values: Any) -> list:
    """An array as JSON has it: six significant digits, dates as ISO text, NaN as None.

    >>> axis(np.array([1 / 3, np.nan])), axis(np.array(["2001-02-03"], "M8[ns]"))
    ([0.333333, None], ['2001-02-03'])
    """
    a = np.asarray(values)
    if a.ndim > 1:
        return [axis(row) for row in a]
    if a.dtype.kind == "M":
        days = a.astype("M8[D]")
        whole = bool((days == a)[~np.isnat(a)].all())
        return [None if np.isnat(t) else str(t) for t in (days if whole else a.astype("M8[s]"))]
    if a.dtype.kind == "f":
        return [float(f"{v:.6g}") if math.isfinite(v) else None for v in a.tolist()]
    return a.tolist()


def label(text: str, width: int = 40) -> str:
    """User text for inside a figure, where Plotly reads a little HTML; long names are cut.

    >>> label("a<b>")
    'a&lt;b&gt;'
    """
    text = str(text)
    return escape(text if len(text) <= width else text[: width - 1] + "…", quote=False)


def line(x: Any, y: Any, name: str, color: str, **more: Any) -> dict:
    """A curve; `dash`, `width` and `symbol` style it, the rest goes to the trace."""
    style = {"color": color, "dash": more.pop("dash", "solid"), "width": more.pop("width", 2)}
    symbol = more.pop("symbol", None)
    trace = {"type": "scatter", "mode": "lines", "x": axis(x), "y": axis(y), "line": style}
    if symbol:
        trace |= {"mode": "lines+markers", "marker": {"symbol": symbol, "size": 7, "color": color}}
    return trace | {"name": label(name)} | more


def points(x: Any, y: Any, name: str, color: str, **more: Any) -> dict:
    """Markers; `symbol`, `size` and `opacity` style them."""
    marker = {"color": color, "symbol": more.pop("symbol", "circle"), "size": more.pop("size", 6)}
    marker["opacity"] = more.pop("opacity", 1.0)
    base = {"type": "scatter", "mode": "markers", "x": axis(x), "y": axis(y), "marker": marker}
    return base | {"name": label(name)} | more


def band(x: Any, lower: Any, upper: Any, name: str, color: str, opacity: float = 0.2) -> list[dict]:
    """The area between two curves, in one closed outline."""
    x, lower, upper = np.asarray(x), np.asarray(lower, float), np.asarray(upper, float)
    keep = np.isfinite(lower) & np.isfinite(upper)
    x, lower, upper = x[keep], lower[keep], upper[keep]
    outline = {"x": axis(np.r_[x, x[::-1]]), "y": axis(np.r_[upper, lower[::-1]])}
    fill = f"rgba({','.join(str(int(color[i : i + 2], 16)) for i in (1, 3, 5))},{opacity})"
    style = {"fill": "toself", "fillcolor": fill, "line": {"width": 0}, "hoverinfo": "skip"}
    return [{"type": "scatter", "mode": "lines", "name": label(name)} | outline | style]


def thin(n: int, most: int) -> np.ndarray:
    """At most `most` row numbers out of `n`, evenly spread, the first and the last among them.

    >>> thin(5, 3).tolist(), thin(2, 9).tolist()
    ([0, 2, 4], [0, 1])
    """
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def titles(x: str, y: str, **more: Any) -> dict:
    """A layout with the two axes' titles; `xaxis_type="log"` and the like go to the axes."""
    layout: dict[str, Any] = {
        "xaxis": {"title": {"text": label(x, 80)}},
        "yaxis": {"title": {"text": label(y, 80)}},
    }
    for key, value in more.items():
        where, _, what = key.partition("_")
        layout.setdefault(where, {})[what] = value
    return layout


def log_ticks(low: float, high: float) -> dict:
    """A logarithmic axis with 1, 2, 5 written out, or powers of ten over many decades.

    >>> log_ticks(0.5, 3)["ticktext"]
    ['0.2', '0.5', '1', '2', '5']
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if math.log10(high / low) < 2.3 else (1,)
    marks = [s * 10.0**k for k in range(first, last + 1) for s in steps]
    marks = [m for m in marks if low / 3 <= m <= high * 3]
    return {"type": "log", "tickvals": marks, "ticktext": [f"{m:g}" for m in marks]}


def listing(words: Iterable[str]) -> str:
    """
    >>> listing(["a", "b", "c"])
    'a, b and c'
    """
    *most, last = list(words)
    return f"{', '.join(most)} and {last}" if most else last
