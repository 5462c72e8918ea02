"""What sixteen CfC members cost, against one.

    python benchmarks/members.py [--members 16] [--repeats 5] [--json PATH]

A training step of a CfC with a point head: batch 64, 100 steps, 8 inputs, 32 units, Adam. Every run
is a process of its own, since the number of host devices is fixed before JAX starts; contestants
take turns; figures are seconds per step of all members, from the epochs after the first, and how
many times the one member's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

import harness
import numpy as np

STEPS, BATCH, TIME, INPUTS, UNITS = 16, 64, 100, 8, 32
WAYS = {
    "one": {"members": 1, "devices": 1, "strategy": "loop"},
    "side by side": {"devices": 1, "strategy": "vmap"},
    "in turn": {"devices": 1, "strategy": "loop"},
    "side by side, 2 devices": {"devices": 2, "strategy": "vmap"},
    "in turn, 2 devices": {"devices": 2, "strategy": "loop"},
}


def run(members: int, devices: int, strategy: str, epochs: int) -> dict[str, float]:
    """Seconds per step of all members: the fastest epoch's and the median's."""
    import jax

    jax.config.update("jax_num_cpu_devices", devices)
    import shoal

    def make(key):
        a, b = jax.random.split(key)
        rnn = shoal.CfC(INPUTS, UNITS, return_sequences=False, key=a)
        return shoal.SequenceModel(rnn, shoal.Head(UNITS, (1,), key=b))

    rng = np.random.default_rng(0)
    rows = STEPS * BATCH
    train = (
        rng.standard_normal((rows, TIME, INPUTS), np.float32),
        rng.uniform(0.5, 2.0, (rows, TIME)).astype(np.float32),
        rng.standard_normal((rows, 1), np.float32),
    )
    seconds: list[float] = []
    shoal.fit(
        shoal.Population.init(make, members),
        train,
        epochs=epochs + 1,
        batch_size=BATCH,
        strategy=strategy,
        stopping=None,
        on_epoch=lambda info: seconds.append(info.seconds / STEPS),
    )
    return {"min": min(seconds[1:]), "median": float(np.median(seconds[1:]))}


def measured(options: dict) -> dict[str, float]:
    """One run in a fresh process."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, __file__, "--worker", json.dumps(options)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(found.stdout.splitlines()[-1])


def compare(members: int, repeats: int, epochs: int) -> list[dict]:
    """Rows of the table."""
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way, options in WAYS.items():
            runs[way].append(measured({"members": members, "epochs": epochs, **options}))
    least = {way: min(run["min"] for run in found) for way, found in runs.items()}
    median = {way: float(np.median([r["median"] for r in found])) for way, found in runs.items()}
    return [
        {
            "way": way,
            "members": WAYS[way].get("members", members),
            "step min ms": 1e3 * least[way],
            "step median ms": 1e3 * median[way],
            "times one, min": least[way] / least["one"],
            "times one, median": median[way] / median["one"],
            "repeats": repeats,
        }
        for way in WAYS
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4, help="measured epochs of 16 steps a run")
    parser.add_argument("--json", default=None, help="default: benchmarks/results/")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(run(**json.loads(arguments.worker))))
        return
    rows = compare(arguments.members, arguments.repeats, arguments.epochs)
    print(harness.table(rows))
    print("written to", harness.save("members", rows, arguments.json))


if __name__ == "__main__":
    main()
