"""What sizes and training settings do: one search of `shoal tune` for each, on three data sets.

Every search is a grid over one path of the configuration, five members for each value, nothing else
changed. Figures are of the validation block.

    python examples/guidelines/searches.py [--only co2 ...] [--paths model.units ...]

Writes results.json and tables.md beside this file. Needs Optuna, scikit-learn and statsmodels.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shoal.run import Refused
from shoal.tune import tune

HERE = Path(__file__).parent
WORK = HERE / "work"
MEMBERS = 5
PATHS: dict[str, list[Any]] = {
    "training.learning_rate": [5e-4, 1.5e-3, 5e-3, 1.5e-2, 5e-2],
    "training.batch_size": [16, 64, 256],
    "model.units": [4, 8, 16, 32, 64],
    "model.num_layers": [1, 2, 3],
    "model.backbone_units": [8, 32, 128],
    "model.backbone_layers": [0, 1, 2, 3],
    "model.mode": ["default", "no_gate", "pure"],
    "training.dropout": [0.0, 0.1, 0.3],
    "training.weight_decay": [0.0, 0.01, 0.1, 1.0],
}
FIGURES = {"co2": "rmse", "elnino": "rmse", "digits": "accuracy"}


def main() -> None:
    """Run what is asked for; the rest of results.json stays."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=list(PATHS))
    asked = parser.parse_args()
    write_data()
    file = HERE / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for name in asked.only:
        for path in asked.paths:
            rows = study(name, path)
            results.setdefault(name, {})[path] = rows
            file.write_text(json.dumps(results, indent=1) + "\n")
            print(name, path, *(f"{row['value']}: {row['loss']:.4f}" for row in rows), flush=True)
    (HERE / "tables.md").write_text(document(results))


def study(name: str, path: str) -> list[dict[str, Any]]:
    """A grid over one path: for each value the members' losses, the crowd's figure, the cost."""
    found = tune(
        HERE / f"{name}.yaml",
        {
            "tune.space": {path: PATHS[path]},
            "tune.method": "grid",
            "tune.objectives": ["loss", FIGURES[name], "parameters"],
            "tune.members": MEMBERS,
        },
        runs=WORK / "runs",
    )
    return [_row(one, path, FIGURES[name]) for one in found.trials]


def _row(one: Any, path: str, figure: str) -> dict[str, Any]:
    losses = one.facts["losses"]
    return {
        "value": one.point[path],
        "loss": float(np.mean(losses)),
        "std": float(np.std(losses, ddof=1)),
        "crowd": one.values[figure],
        "epoch": one.facts["best_epoch"],
        "parameters": int(one.values["parameters"]),
    }


def write_data() -> None:
    """The three data sets, from the packages that ship them."""
    from sklearn.datasets import load_digits
    from statsmodels.datasets import co2, elnino

    WORK.mkdir(exist_ok=True)
    weekly: Any = co2.load_pandas().data
    monthly: Any = elnino.load_pandas().data
    series = weekly["co2"].dropna()
    kept = series[np.random.default_rng(0).random(len(series)) < 0.4]
    kept.rename_axis("date").to_csv(WORK / "co2.csv", date_format="%Y-%m-%d")
    years = monthly.set_index("YEAR")
    lines = [
        f"{int(y)}-{m:02d}-01,{v}" for y, row in years.iterrows() for m, v in enumerate(row, 1)
    ]
    (WORK / "elnino.csv").write_text("\n".join(["month,celsius", *lines]) + "\n")
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    np.savez(WORK / "digits.npz", x=x.reshape(-1, 8, 8)[order] / 16, y=y.astype(str)[order])


def document(results: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    """A table for each path: the loss of single members on every data set."""
    return "\n\n".join(_table(path, results) for path in PATHS) + "\n"


def _table(path: str, results: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    names = [name for name in FIGURES if path in results.get(name, {})]
    lines = [f"| `{path}` | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for value in PATHS[path]:
        cells = [_cell(results[name][path], value) for name in names]
        lines.append(f"| {value} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(rows: Sequence[dict[str, Any]], value: Any) -> str:
    row = next((row for row in rows if row["value"] == value), None)
    if row is None:
        return "–"
    text = f"{row['loss']:.3f} ± {row['std']:.3f}"
    return f"**{text}**" if row["loss"] == min(row["loss"] for row in rows) else text


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        raise SystemExit(str(refused)) from None
