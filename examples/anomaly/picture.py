"""The picture of the example: the series with planted faults, and the crowd's score of every month.

    python examples/anomaly/picture.py [--seed 10] [--out docs/images/anomaly.png]

Needs matplotlib: pip install 'shoal[draw]'.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from detect import LEVEL, calm_threshold, expected, strangeness, trained
from faults import KINDS, TEST_FROM, planted, series
from matplotlib.figure import Figure

INK = "#222222"
COLOURS = dict(zip(KINDS, ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00"), strict=True))


def stretches(kinds: np.ndarray, kind: str) -> list[tuple[int, int]]:
    """Begin and end of each stretch of a kind."""
    edges = np.flatnonzero(np.diff((kinds == kind).astype(int), prepend=0, append=0))
    return [(int(begin), int(end) - 1) for begin, end in edges.reshape(-1, 2)]


def mark(axes: Any, dates: np.ndarray, kinds: np.ndarray, named: bool) -> None:
    """A coloured band for everything that is strange."""
    half = np.timedelta64(15, "D")
    for kind, colour in COLOURS.items():
        for number, (begin, end) in enumerate(stretches(kinds, kind)):
            label = kind if named and number == 0 else None
            axes.axvspan(
                dates[begin] - half, dates[end] + half, color=colour, alpha=0.35, label=label
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("docs/images/anomaly.png"))
    asked = parser.parse_args()
    months, sst = series()
    y, kinds = planted(months, sst, asked.seed)
    scores = strangeness(*expected(trained(asked.seed), months, y), months)
    threshold = calm_threshold(scores, months)
    shown = months >= TEST_FROM
    dates = months[shown].astype("datetime64[D]")
    figure = Figure(figsize=(10, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for axes in (above, below):
        mark(axes, dates, kinds[shown], axes is above)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.01)
    above.plot(dates, y[shown], color=INK, linewidth=1)
    above.set_ylabel("sea surface [°C]")
    above.legend(frameon=False, ncols=len(KINDS), loc="upper center", bbox_to_anchor=(0.5, 1.15))
    below.plot(dates, scores[shown], color=INK, linewidth=1)
    below.axhline(threshold, color=INK, linewidth=0.8, linestyle="--")
    below.text(dates[-1], threshold * 1.4, f"threshold, level {LEVEL}", fontsize=8, ha="right")
    below.set_ylabel("anomaly score [nats]")
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(asked.out, dpi=110)
    print("wrote", asked.out)


if __name__ == "__main__":
    main()
