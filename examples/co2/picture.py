"""The picture of the README: what the newest run forecast, year by year, and what then happened.

    python examples/co2/picture.py [RUN] [--out docs/images/co2.png]

RUN is a run's folder or the name of runs. Needs matplotlib: pip install 'shoal[draw]'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import shoal
from shoal.run.checking import load_config
from shoal.run.folder import find
from shoal.run.members import prepare_data

BLUE, ORANGE, INK = "#0072B2", "#D55E00", "#222222"


def picture(run: str, out: Path, level: float = 0.9) -> None:
    """Every fourth origin of the test block, one year apart, and nothing else of it."""
    folder = find(run, Path("runs"))
    prepared = prepare_data(load_config(folder.config))
    series, schema = prepared.series[0], prepared.schema
    block = prepared.test[np.arange(0, len(prepared.test), 4)]
    crowd = shoal.load(folder.bundle)
    forecast = crowd.predict(block)
    lower, upper = forecast.interval(level)
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots()
    shown = series.times > block.origin[0] - 150
    truth = {"color": INK, "markersize": 2.5, "linestyle": "none", "marker": "."}
    axes.plot(schema.dates(series.times[shown]), series.y[shown, 0], label="measured", **truth)
    for row in range(len(block)):
        dates = schema.dates(block.target_times[row])
        named = row == 0
        band = {"color": BLUE, "alpha": 0.25, "linewidth": 0}
        label = f"{level:.0%} interval" if named else None
        axes.fill_between(dates, lower[row, :, 0], upper[row, :, 0], label=label, **band)
        label = f"mean of {crowd.n_models} members" if named else None
        axes.plot(dates, forecast.mean[row, :, 0], color=BLUE, linewidth=1.6, label=label)
        axes.axvline(schema.dates(block.origin[row : row + 1])[0], color=ORANGE, linewidth=0.8)
    axes.plot(
        [], [], color=ORANGE, linewidth=0.8, label="a forecast is made; nothing later is known"
    )
    axes.set_ylabel("CO₂ at Mauna Loa [ppm]")
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    print("wrote", out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", default="co2")
    parser.add_argument("--out", type=Path, default=Path("docs/images/co2.png"))
    arguments = parser.parse_args()
    picture(arguments.run, arguments.out)
