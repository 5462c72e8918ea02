"""From ranges to a crowd, beside tuning first and ensembling after.

    python examples/co2/ranges.py [--seeds 3] [--trials 24] [--json PATH]

Both begin with one search: trials of unlike learning rate, weight decay, dropout, time scaling and
size, side by side. Tuning first takes the best of them and trains it anew as an ensemble of five
seeds; the crowd is chosen from the trials' own members by greedy selection on the validation block,
and nothing is trained again. Held-out figures are of the test block of `tune.yaml`, cost is counted
in epochs of one member. Repeated for several seeds of the search.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from shoal.run.progress import Lines
from shoal.tune import tune

HERE = Path(__file__).parent
SPACE = {
    "training.learning_rate": {"low": 1e-3, "high": 2e-2, "log": True},
    "training.weight_decay": {"low": 0.0, "high": 0.1},
    "training.dropout": {"low": 0.0, "high": 0.3},
    "model.time_scaling": ["log", "normalised", "bounded"],
    "model.units": [16, 32],
}
SETS = {
    "data.input_transform": "change",
    "training.epochs": 30,
    "training.schedule": "cosine",
    "tune.space": SPACE,
    "tune.method": "random",
    "tune.compare": True,
    "tune.crowd": {"rounds": 50},
}
SHOWN = {"best": "tuned, then ensembled", "crowd of trials": "from ranges to a crowd"}
FIGURES = ("rmse", "crps", "nll")


def one(seed: int, trials: int, runs: Path) -> list[dict]:
    """The rows of one search."""
    sets = {**SETS, "tune.seed": seed, "tune.trials": trials}
    found = tune(HERE / "tune.yaml", sets, runs=runs, progress=Lines)
    assert found.folder is not None
    facts = json.loads((found.folder / "comparison.json").read_text())
    search = sum(one.facts["epochs"] for one in found.trials)
    rows = {row["name"]: row for row in facts["rows"]}
    return [
        {
            "way": way,
            "seed": seed,
            **{figure: rows[name][figure] for figure in FIGURES},
            "epochs": search + (rows[name]["epochs"] or 0),
        }
        for name, way in SHOWN.items()
    ]


def table(rows: list[dict]) -> str:
    """Means over the seeds, with the standard deviation where there are several."""
    names = (*FIGURES, "epochs")
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for way in SHOWN.values():
        own = [row for row in rows if row["way"] == way]
        cells = [_cell([row[name] for row in own]) for name in names]
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: list[float]) -> str:
    spread = f" ± {np.std(values):.2g}" if len(values) > 1 else ""
    return f"{np.mean(values):.3g}{spread}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--json", type=Path, default=HERE / "ranges.json")
    asked = parser.parse_args(arguments)
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as runs:
        for seed in range(asked.seeds):
            rows += one(seed, asked.trials, Path(runs))
    print(table(rows))
    asked.json.write_text(json.dumps({"trials": asked.trials, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
