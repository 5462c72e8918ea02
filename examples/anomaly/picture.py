"""The picture of the example: the series with faults, the crowd's scores, precision over recall.

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
from rivals import RIVALS

from shoal.score import average_precision, precision_recall

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


def curves(axes: Any, scores: dict[str, np.ndarray], truth: np.ndarray) -> None:
    """Precision over recall of every detector."""
    for name, values in scores.items():
        curve = precision_recall(values, truth)
        style = {"linewidth": 2.2, "color": INK} if name == "the crowd" else {"linewidth": 1.2}
        label = f"{name} {average_precision(values, truth):.2f}"
        axes.plot(curve.recall, curve.precision, label=label, **style)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(
        frameon=False, title="average precision", bbox_to_anchor=(0.5, 1), loc="lower center"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("docs/images/anomaly.png"))
    asked = parser.parse_args()
    months, sst = series()
    y, kinds = planted(months, sst, asked.seed)
    scores = strangeness(*expected(trained(asked.seed), months, y), months)
    shown = months >= TEST_FROM
    known = int((~shown).sum())
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(2.4, 1))
    above, below = left.subplots(2, 1, sharex=True)
    dates = months[shown].astype("datetime64[D]")
    for axes, values in ((above, y), (below, scores)):
        mark(axes, dates, kinds[shown], axes is above)
        axes.plot(dates, values[shown], color=INK, linewidth=1)
        axes.margins(x=0.01)
    above.set_ylabel("sea surface [°C]")
    above.legend(frameon=False, ncols=len(KINDS), loc="upper center", bbox_to_anchor=(0.5, 1.15))
    threshold = calm_threshold(scores, months)
    below.axhline(threshold, color=INK, linewidth=0.8, linestyle="--")
    below.text(dates[-1], threshold * 1.4, f"threshold, level {LEVEL}", fontsize=8, ha="right")
    below.set_ylabel("anomaly score [nats]")
    all_scores = {"the crowd": scores} | {name: f(y, known) for name, f in RIVALS.items()}
    curve = right.subplots()
    curves(curve, {name: one[shown] for name, one in all_scores.items()}, kinds[shown] != "")
    for axes in (above, below, curve):
        axes.spines[["top", "right"]].set_visible(False)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(asked.out, dpi=110)
    print("wrote", asked.out)


if __name__ == "__main__":
    main()
