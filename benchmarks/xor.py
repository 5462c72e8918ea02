"""Event-based XOR: single members and crowds of CfC, LSTM and GRU beside published figures.

    python benchmarks/xor.py [--kinds cfc lstm gru] [--units 64] [--members 4] [--epochs 100]
                             [--rows 100000] [--resume] [--folder runs/xor] [--json PATH]

The task is `examples/xor/events.py`. LSTM and GRU read the elapsed time as one more input. Each
kind is a population trained at once, saved after every epoch: `--resume` goes on from there, and a
kind that is finished is read from its own result. A member's best epoch is chosen on a validation
set of its own; the 10 000 test rows are drawn with another seed and looked at once, at the end.
The published figures are of single models: mean ± std over their seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import harness
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "xor"))

TEST_ROWS = 10_000
SEEDS = {"train": 0, "valid": 1, "test": 2}
KINDS = {
    "cfc": {"backbone_units": 128, "activation": "relu"},
    "lstm": {"use_timespans": True},
    "gru": {"use_timespans": True},
}
PUBLISHED = {
    "published, single: CfC": 0.9942,
    "published, single: CfC, mixed memory": 0.9972,
    "published, single: ODE-LSTM": 0.9889,
    "published, single: LTC": 0.4911,
}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--devices", type=int, default=2, help="parts the processor is split into")
    parser.add_argument("--folder", type=Path, default=Path("runs/xor"), help="for checkpoints")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoints")
    parser.add_argument("--json", type=Path, default=None, help="default: benchmarks/results/")
    return parser.parse_args()


def make(kind: str, units: int):
    """`make(key) -> member`."""
    from shoal.neurons.model import build_model

    described = {
        "kind": kind,
        "input_size": 1,
        "units": units,
        "output_shape": [2],
        "likelihood": "categorical",
        "time_scaling": {"kind": "raw"},
        **KINDS[kind],
    }
    return lambda key: build_model(described, key)


def trained(kind: str, asked: argparse.Namespace, data: dict[str, Any]) -> Any:
    """The fitted population of one kind."""
    import shoal
    from shoal.population import Checkpoint

    def tell(info: Any) -> None:
        left = (info.epochs - info.epoch - 1) * info.seconds
        losses = " ".join(f"{loss:.4f}" for loss in info.best_loss)
        print(f"{kind} epoch {info.epoch + 1}/{info.epochs}: best {losses}, {info.seconds:.1f} s,")
        print(f"  about {left / 60:.0f} minutes left", flush=True)

    folder = asked.folder / f"{kind}-{asked.units}"
    return shoal.fit(
        shoal.Population.init(make(kind, asked.units), asked.members),
        data["train"],
        data["valid"],
        epochs=asked.epochs,
        batch_size=asked.batch_size,
        learning_rate=asked.learning_rate,
        schedule="cosine",
        warmup_epochs=min(1, asked.epochs - 1),
        clip_norm=1.0,
        stopping=None,
        checkpoint=Checkpoint(folder, every_epochs=1, resume=asked.resume),
        on_epoch=tell,
    )


def accuracies(fitted: Any, test: Any) -> dict[str, float]:
    """Of single members and of the crowd, on the test rows."""
    import shoal

    crowd = shoal.Collective(fitted.population.select(fitted.usable))
    found = crowd.predict(test)
    members = (found.members.argmax(axis=-1) == test.y).mean(axis=1)
    return {
        "single": float(members.mean()),
        "std": float(members.std()),
        "best by validation": float(members[_best(fitted)]),
        "crowd": float((found.probabilities.argmax(axis=-1) == test.y).mean()),
    }


def _best(fitted: Any) -> int:
    """The place, among the usable, of the member with the least validation loss."""
    return int(np.argmin([fitted.status[index]["best_loss"] for index in fitted.usable]))


def row(kind: str, asked: argparse.Namespace, data: dict[str, Any]) -> dict[str, Any]:
    """One line of the table."""
    start = time.perf_counter()
    fitted = trained(kind, asked, data)
    seconds = time.perf_counter() - start
    facts = {"units": asked.units, "members": asked.members, "epochs": fitted.history.epochs}
    return {"kind": kind, **facts, **accuracies(fitted, data["test"]), "seconds": round(seconds)}


def main() -> None:
    from shoal.run.devices import prepare_jax

    asked = parsed()
    prepare_jax(asked.devices)
    from events import events

    sizes = {"train": asked.rows, "valid": TEST_ROWS, "test": TEST_ROWS}
    data = {name: events(size, SEEDS[name]) for name, size in sizes.items()}
    rows = []
    for kind in asked.kinds:
        rows.append(row(kind, asked, data))
        print(json.dumps(rows[-1]), flush=True)
    published = [{"kind": name, "single": value} for name, value in PUBLISHED.items()]
    print(harness.table(rows + published))
    print("written to", harness.save("xor", rows + published, asked.json))


if __name__ == "__main__":
    main()
