"""The picture of the study: how far below the default crowd's the likelihood loss of each other is.

The default crowd is eight alike, trained independently, with equal weights. What lies outside of
the panel is a triangle at its edge; the tables tell how far.

    python examples/crowds/picture.py [--out docs/images/crowds.svg]

Needs matplotlib: pip install 'shoal[draw]'.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from tables import CROWDS, TITLES, gain, ordered

COLOURS = {"alike": "#0072B2", "unlike": "#D55E00", "regime": "#009E73", "shared": "#CC79A7"}
DEFAULT = "alike: uniform"
HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE.parents[1] / "docs/images/crowds.svg")
    arguments = parser.parse_args()
    results = json.loads((HERE / "results.json").read_text())
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "crowds"}):
        draw(results).savefig(arguments.out, metadata={"Date": None})
    print("wrote", arguments.out)


def draw(results: dict) -> Figure:
    """A panel for each data set, a row for each method, a colour for each crowd."""
    figure = Figure(figsize=(13, 6.5), layout="constrained")
    names = _names(results)
    panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
    for axes, (problem, found) in zip(panels, results.items(), strict=True):
        edge = _edge(found)
        for crowd in CROWDS:
            _points(axes, found, crowd, names, edge)
        axes.axvline(0.0, color="grey", linewidth=0.8)
        axes.locator_params(axis="x", nbins=4)
        axes.set_xlim(-1.1 * edge, 1.1 * edge)
        axes.set_title(TITLES[problem].split(":")[0].replace(" (", "\n("), fontsize=10)
        axes.grid(axis="y", linewidth=0.3)
    figure.supxlabel("NLL below that of the default crowd (right is better)", fontsize=10)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    return figure


def _names(results: dict) -> list[str]:
    methods = {m: None for found in results.values() for m in found}
    trainings = [m for m in methods if m.startswith(("regime", "shared"))]
    weightings = ordered([m for m in methods if m not in trainings])
    rows = dict.fromkeys(m.split(": ")[1] for m in [*weightings, *trainings])
    return [name for name in rows if name != "hard_vote"]


def _gains(found: dict) -> dict[str, tuple[float, float]]:
    gains = {method: gain(found, method, DEFAULT) for method in found}
    return {method: pair for method, pair in gains.items() if np.isfinite(pair[0])}


def _edge(found: dict) -> float:
    """Three quarters of all dots lie well inside."""
    return 2.0 * float(np.quantile([abs(mean) for mean, _ in _gains(found).values()], 0.75))


def _points(axes, found: dict, crowd: str, names: list[str], edge: float) -> None:
    """A dot with its standard error, or a triangle at the edge."""
    shift = {"alike": -0.15, "unlike": 0.15}.get(crowd, 0.0)
    style = {"color": COLOURS[crowd], "markersize": 4, "linestyle": "none"}
    axes.plot([], [], "o", label=CROWDS[crowd], **style)
    for method, (mean, error) in _gains(found).items():
        own, name = method.split(": ")
        if own != crowd or name not in names or method == DEFAULT:
            continue
        place = names.index(name) + shift
        if abs(mean) <= edge:
            axes.errorbar(mean, place, xerr=error, marker="o", elinewidth=1, **style)
        else:
            axes.plot(np.sign(mean) * edge, place, "<" if mean < 0 else ">", **style)


if __name__ == "__main__":
    main()
