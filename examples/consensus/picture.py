"""The picture of the consensus example, from its results.

    python examples/consensus/picture.py [--results ...] [--out docs/images/consensus.png]

Needs matplotlib: pip install 'shoal[draw]'.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

COLOURS = {
    "one agent, mean": "#999999",
    "mean": "#E69F00",
    "median, rescaled": "#009E73",
    "stacking": "#CC79A7",
    "consensus": "#0072B2",
}


def by_rate(axes: Any, results: dict[str, Any]) -> None:
    """Error over the share of ghosts, mean and spread over the seeds."""
    rates = 100 * np.array(results["rates"])
    for name, colour in COLOURS.items():
        values = np.array([[at[name] for at in run["by_rate"]] for run in results["runs"]])
        mean, spread = values.mean(0), values.std(0, ddof=1)
        axes.fill_between(rates, mean - spread, mean + spread, color=colour, alpha=0.25, lw=0)
        width = 2.4 if name == "consensus" else 1.5
        axes.plot(rates, mean, color=colour, marker="o", ms=3.5, lw=width, label=name)
    axes.axvline(20, color="#222222", lw=0.8, ls=":")
    axes.text(20.6, axes.get_ylim()[1] * 0.94, "trained here", fontsize=8)
    axes.set(xlabel="stations that see a ghost [%]", ylabel="distance from the truth, RMS")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0.0, 0.93))


def by_round(axes: Any, results: dict[str, Any]) -> None:
    """Agreement after each round, by the number of ghosts among the six."""
    values = np.array([run["agreement"] for run in results["runs"]])  # seeds, ghosts, rounds
    for ghosts, colour in enumerate(["#0072B2", "#56B4E9", "#E69F00", "#D55E00"]):
        mean, spread = values[:, ghosts].mean(0), values[:, ghosts].std(0, ddof=1)
        rounds = np.arange(len(mean))
        axes.fill_between(rounds, mean - spread, mean + spread, color=colour, alpha=0.2, lw=0)
        label = f"{ghosts} ghost{'' if ghosts == 1 else 's'}"
        axes.plot(rounds, mean, color=colour, marker="o", ms=3.5, label=label)
    axes.set(xlabel="rounds of messages", ylabel="agreement", ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def main() -> None:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=here / "results.json")
    parser.add_argument("--out", type=Path, default=Path("docs/images/consensus.png"))
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text())
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    by_rate(left, results)
    by_round(right, results)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(arguments.out, dpi=110)
    print("wrote", arguments.out)


if __name__ == "__main__":
    main()
