"""A wiring as a graph and as a picture.

Layers stand from left to right, in the order of a signal: sensory (blue), inter (green), command
(orange), motor (red). An excitatory synapse is a solid line that ends in an arrow, an inhibitory
one a dashed line that ends in a bar, so that they are told apart without colour too; synapses
within a layer are arcs, and those of a neuron onto itself loops.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import networkx
    from matplotlib.axes import Axes

    from shoal.wirings import Wiring

COLOURS = {"sensory": "#2f6fbf", "inter": "#2e9e5b", "command": "#ee8a1d", "motor": "#d03b3b"}
EXCITATORY, INHIBITORY = "#5d6875", "#a3459f"
FORMATS = (".svg", ".png", ".pdf")

Places = dict[str, tuple[float, float]]


def graph(wiring: Wiring, include_sensory: bool = True) -> networkx.DiGraph:
    """The wiring as a `networkx.DiGraph`; see `Wiring.to_networkx`.

    Raises:
        ImportError: Without the package networkx.
        ValueError: For a wiring that has no inputs yet.
    """
    nx = _import("networkx")
    drawn = nx.DiGraph()
    matrices = {"neuron": wiring.adjacency_matrix}
    for i, role in enumerate(wiring.roles):
        drawn.add_node(f"neuron_{i}", neuron_type=role)
    if include_sensory:
        matrices["sensory"] = wiring.sensory_adjacency_matrix
        for i in range(len(matrices["sensory"])):
            drawn.add_node(f"sensory_{i}", neuron_type="sensory")
    for kind, matrix in matrices.items():
        for source, target in np.argwhere(matrix):
            polarity = "excitatory" if matrix[source, target] > 0 else "inhibitory"
            drawn.add_edge(f"{kind}_{source}", f"neuron_{target}", polarity=polarity)
    return drawn


def places(drawn: networkx.DiGraph) -> Places:
    """Where every node stands: a column for each layer, centred."""
    columns = [
        [node for node, kind in drawn.nodes(data="neuron_type") if kind == layer]
        for layer in COLOURS
    ]
    columns = [column for column in columns if column]
    tallest = max(len(column) for column in columns)
    found: Places = {}
    for x, column in enumerate(columns):
        gap = min(tallest / len(column), 2.0)
        for k, node in enumerate(column):
            found[node] = (float(x), ((len(column) - 1) / 2 - k) * gap)
    return found


def draw(wiring: Wiring, ax: Axes | None = None) -> Axes:
    """Draws the wiring on a matplotlib axes, a new one by default.

    Raises:
        ImportError: Without the packages matplotlib and networkx.
        ValueError: For a wiring that has no inputs yet.
    """
    drawn = graph(wiring)
    found = places(drawn)
    ax = _new_axes(found) if ax is None else ax
    busy = min(1.0, 40.0 / max(drawn.number_of_edges(), 1) ** 0.8)
    for source, target, polarity in drawn.edges(data="polarity"):
        _synapse(ax, found[source], found[target], polarity == "excitatory", 0.25 + 0.6 * busy)
    for layer, colour in COLOURS.items():
        _neurons(ax, drawn, found, layer, colour)
    _finish(ax, wiring, found)
    return ax


def write(wiring: Wiring, path: str | Path) -> Path:
    """Writes the picture as SVG, PNG or PDF, as the path ends.

    Raises:
        ValueError: For a path that ends otherwise, or a wiring that has no inputs yet.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"`path` must end in one of {', '.join(FORMATS)}; got {str(path)!r}.")
    figure_module = _import("matplotlib.figure")
    width, height = _size(places(graph(wiring)))
    figure = figure_module.Figure(figsize=(width, height), layout="constrained")
    draw(wiring, figure.subplots())
    figure.savefig(path, dpi=150)
    return path


def _size(found: Places) -> tuple[float, float]:
    xs, ys = zip(*found.values(), strict=True)
    return 2.2 * (max(xs) + 1) + 1.0, min(max(0.32 * (max(ys) - min(ys)) + 2.2, 3.6), 40.0)


def _new_axes(found: Places) -> Axes:
    return _import("matplotlib.pyplot").subplots(figsize=_size(found), layout="constrained")[1]


def _synapse(ax, start, end, excitatory: bool, alpha: float) -> None:
    patches = _import("matplotlib.patches")
    look = {"color": EXCITATORY if excitatory else INHIBITORY, "alpha": alpha, "zorder": 1}
    line = "-" if excitatory else (0, (4, 2))
    if start == end:
        offset = (start[0] + 0.07, start[1] + 0.32)
        ax.add_patch(
            patches.Ellipse(offset, 0.16, 0.6, fill=False, linewidth=1.0, linestyle=line, **look)
        )
        return
    head = "-|>,head_length=4,head_width=2" if excitatory else "|-|,widthA=0,widthB=2.5"
    bend = 0.35 if start[0] == end[0] else 0.0 if start[0] < end[0] else 0.2
    ax.add_patch(
        patches.FancyArrowPatch(
            start,
            end,
            arrowstyle=head,
            connectionstyle=f"arc3,rad={bend}",
            shrinkA=6,
            shrinkB=8,
            linewidth=1.0,
            linestyle=line,
            **look,
        )
    )


def _neurons(ax, drawn, found: Places, layer: str, colour: str) -> None:
    nodes = [node for node, kind in drawn.nodes(data="neuron_type") if kind == layer]
    if not nodes:
        return
    xs, ys = zip(*(found[node] for node in nodes), strict=True)
    marker = "s" if layer == "sensory" else "o"
    ax.scatter(xs, ys, s=120, c=colour, marker=marker, edgecolors="white", zorder=2)
    for node in nodes:
        number = node.rsplit("_", 1)[1]
        options = {"ha": "center", "va": "center", "color": "white", "fontsize": 6, "zorder": 3}
        ax.text(*found[node], number, **options)
    top = max(y for _, y in found.values())
    ax.text(xs[0], top + 1.1, f"{layer}\n{len(nodes)}", ha="center", va="bottom", color=colour)


def _finish(ax, wiring: Wiring, found: Places) -> None:
    lines = _import("matplotlib.lines")
    signs = wiring.adjacency_matrix, wiring.sensory_adjacency_matrix
    more, less = (sum(int((m == sign).sum()) for m in signs) for sign in (1, -1))
    shown = [
        lines.Line2D([], [], color=EXCITATORY, marker=">", label=f"excitatory ({more})"),
        lines.Line2D([], [], color=INHIBITORY, ls="--", marker="|", label=f"inhibitory ({less})"),
    ]
    ax.legend(handles=shown, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False)
    xs, ys = zip(*found.values(), strict=True)
    ax.set_xlim(min(xs) - 0.5, max(xs) + 0.5)
    ax.set_ylim(min(ys) - 0.8, max(ys) + 2.6)
    ax.set_axis_off()


def _import(name: str):
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"pictures of wirings need the package {name.split('.')[0]}: pip install 'shoal[draw]'."
        ) from error
