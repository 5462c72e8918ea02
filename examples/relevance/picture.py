"""The picture of the relevance example: ten digits, the two regions asked, what they said.

    python examples/relevance/picture.py [--out docs/images/relevance.png]

Needs matplotlib: pip install 'shoal[draw]'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from regions import NAMES, data, train_experts, train_scorer

COLOURS = ("#D55E00", "#0072B2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images/relevance.png"))
    arguments = parser.parse_args()
    splits = data(0)
    model = train_scorer(train_experts(splits, 0), splits, 0)
    x, y = splits["test"]
    rows = [int(np.flatnonzero(y == digit)[0]) for digit in range(10)]
    table = model.explain(x[rows])
    figure = Figure(figsize=(10, 5.2), layout="constrained")
    for place, (axes, row) in enumerate(zip(figure.subplots(2, 5).flat, rows, strict=True)):
        axes.imshow(x[row].reshape(8, 8), cmap="Greys", extent=(0, 8, 8, 0))
        lines = table[table["row"] == place]
        for (_, line), colour in zip(lines.iterrows(), COLOURS, strict=True):
            top, left = (2 * part for part in divmod(NAMES.index(line["expert"]), 3))
            style = {"fill": False, "edgecolor": colour, "linewidth": 2.5}
            axes.add_patch(Rectangle((left + 0.06, top + 0.06), 3.88, 3.88, **style))
        pairs = zip(lines["expert"], lines["contribution"], strict=True)
        said = "\n".join(f"{expert}: {share:.2f}" for expert, share in pairs)
        total = lines["contribution"].sum()
        axes.set_title(f"a {lines['output'].iloc[0]}, p = {total:.2f}\n{said}", fontsize=9)
        axes.set_axis_off()
    figure.savefig(arguments.out, dpi=110)
    print("wrote", arguments.out)


if __name__ == "__main__":
    main()
