"""What sixteen members that share their matrices cost, against one member and independent ones.

    python benchmarks/shared_crowd.py [--members 16] [--repeats 5] [--json PATH]

A training step with Adam: an MLP 8-64-64-1 with ReLU (batch 64), and a neuron of each kind with a
point head (batch 64, 100 steps, 8 inputs, 32 units, a CfC's backbone 128). Every run is a process
of its own, the contestants in turn; figures are per step, from the epochs after the first, and how
many times the one member's. "divided" deals the rows of the batch to the members; "every row" shows
all of them to each. Evaluation is of 1024 rows by all members. Parameters are what is trained.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

import harness
import numpy as np

BATCH, TIME, INPUTS, UNITS, ROWS = 64, 100, 8, 32, 1024
WAYS = {
    "one member": {"members": 1},
    "independent": {},
    "batch_ensemble, divided": {"sharing": {"kind": "batch_ensemble"}},
    "batch_ensemble, every row": {"sharing": {"kind": "batch_ensemble", "rows": "all"}},
    "tabm, divided": {"sharing": {"kind": "tabm", "rows": "divided"}},
    "tabm, every row": {"sharing": {"kind": "tabm"}},
}
STEPS = {"MLP": 1024, "CfC": 16, "LTC": 4, "CTRNN": 8, "CTGRU": 8, "LSTM": 16, "GRU": 16}
ALL_WAYS = ("MLP", "CfC")  # the others: one member, and a divided batch


def make(member: str):
    """`make(key)` of a member."""
    import jax

    import shoal
    from shoal.neurons import MLP

    if member == "MLP":
        return lambda key: MLP(INPUTS, 64, (1,), num_layers=2, key=key)

    def neuron(key):
        a, b = jax.random.split(key)
        rnn = getattr(shoal, member)(INPUTS, UNITS, return_sequences=False, key=a)
        return shoal.SequenceModel(rnn, shoal.Head(UNITS, (1,), key=b))

    return neuron


def data(member: str, rows: int):
    """Samples for a member."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal((rows, 1), np.float32)
    if member == "MLP":
        return rng.standard_normal((rows, INPUTS), np.float32), y
    x = rng.standard_normal((rows, TIME, INPUTS), np.float32)
    return x, rng.uniform(0.5, 2.0, (rows, TIME)).astype(np.float32), y


def run(member: str, members: int, epochs: int, sharing=None) -> dict[str, float]:
    """Seconds per step and per evaluation, and how many numbers are trained."""
    import equinox as eqx
    import jax

    import shoal

    steps = STEPS[member]
    crowd = shoal.Population.init(make(member), members, sharing=sharing)
    seconds: list[float] = []
    shoal.fit(
        crowd,
        data(member, steps * BATCH),
        epochs=epochs + 1,
        batch_size=BATCH,
        stopping=None,
        on_epoch=lambda info: seconds.append(info.seconds / steps),
    )
    asked = data(member, ROWS)[:-1]
    answers = [_seconds(lambda: jax.block_until_ready(crowd(*asked))) for _ in range(4)]
    sizes = [a.size for a in jax.tree.leaves(eqx.filter(crowd, eqx.is_inexact_array))]
    return {
        "step min": min(seconds[1:]),
        "step median": float(np.median(seconds[1:])),
        "evaluation min": min(answers[1:]),
        "parameters": sum(sizes),
    }


def _seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measured(options: dict) -> dict[str, float]:
    """One run in a fresh process."""
    command = [sys.executable, __file__, "--worker", json.dumps(options)]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(found.stdout.splitlines()[-1])


def compare(kinds: list[str], members: int, repeats: int, epochs: int) -> list[dict]:
    """Rows of the table."""
    short = ("one member", "batch_ensemble, divided")
    runs = {(kind, way): [] for kind in kinds for way in (WAYS if kind in ALL_WAYS else short)}
    for _ in range(repeats):
        for kind, way in runs:
            options = {"member": kind, "members": members, "epochs": epochs, **WAYS[way]}
            runs[kind, way].append(measured(options))
    return [_row(kind, way, runs, members) for kind, way in runs]


def _row(kind: str, way: str, runs: dict, members: int) -> dict:
    found, one = runs[kind, way], runs[kind, "one member"]

    def least(runs: list, name: str) -> float:
        return min(run[name] for run in runs)

    median = float(np.median([run["step median"] for run in found]))
    return {
        "member": kind,
        "way": way,
        "members": WAYS[way].get("members", members),
        "step min ms": 1e3 * least(found, "step min"),
        "step median ms": 1e3 * median,
        "times one, min": least(found, "step min") / least(one, "step min"),
        "times one, median": median / float(np.median([run["step median"] for run in one])),
        "evaluation ms": 1e3 * least(found, "evaluation min"),
        "parameters": found[0]["parameters"],
        "parameters, times one": found[0]["parameters"] / one[0]["parameters"],
        "repeats": len(found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4, help="measured epochs in a run")
    parser.add_argument("--kinds", nargs="+", choices=tuple(STEPS), default=list(STEPS))
    parser.add_argument("--keep", action="store_true", help="rows of other kinds stay on file")
    parser.add_argument("--json", default=None, help="default: benchmarks/results/")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(run(**json.loads(arguments.worker))))
        return
    rows = compare(arguments.kinds, arguments.members, arguments.repeats, arguments.epochs)
    if arguments.keep:
        known = json.loads((harness.RESULTS / "shared_crowd.json").read_text())["rows"]
        rows = [row for row in known if row["member"] not in arguments.kinds] + rows
    print(harness.table(rows))
    print("written to", harness.save("shared_crowd", rows, arguments.json))


if __name__ == "__main__":
    main()
