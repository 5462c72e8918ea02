"""Thirty-two trials of an MLP side by side, against Optuna driving PyTorch one after the other.

    python benchmarks/tune_mlp.py [--repeats 5] [--json PATH]

The MLP is 8-64-64-1 with ReLU, batch 64, 2000 rows to train and 500 to validate, 50 epochs of Adam.
Trials differ in learning rate, weight decay and seed; both sides try the same points, drawn at
random beforehand, keep their study in memory, and validate after every epoch. Every run is a
process of its own, the contestants in turn; imports are not counted. "everything" is tracing,
compilation (no compilation cache), bookkeeping and training; "training" leaves out the first epoch
of ours, which compiles, and counts the others for all. PyTorch cuts its batches from tensors,
decays weights by AdamW, and runs with one thread and with two; the faster counts.
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

TRIALS, ROWS, VALID, EPOCHS, BATCH = 32, 2000, 500, 50, 64
PEERS = {"Optuna, PyTorch 1 thread": {"threads": 1}, "Optuna, PyTorch 2 threads": {"threads": 2}}
OURS = {"shoal": {}}


def data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Inputs (rows, 8) and targets (rows, 1), to train and to validate."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS + VALID, 8), np.float32)
    y = np.sin(x.sum(axis=1, keepdims=True)).astype(np.float32)
    return (x[:ROWS], y[:ROWS]), (x[ROWS:], y[ROWS:])


def enqueued(study, highest: float):
    """The study with the points that both sides try written down."""
    rng = np.random.default_rng(1)
    for seed in range(TRIALS):
        rate = float(np.exp(rng.uniform(np.log(1e-4), np.log(highest))))
        decay = float(np.exp(rng.uniform(np.log(1e-6), np.log(1e-1))))
        study.enqueue_trial({"learning_rate": rate, "weight_decay": decay, "seed": seed})
    return study


def run_shoal() -> dict[str, float]:
    """One search of ours."""
    import equinox as eqx
    import jax

    import shoal.tune.searching
    from shoal.tune import Float, Integer, search
    from shoal.tune.storage import in_memory

    class Member(eqx.Module):
        mlp: eqx.nn.MLP

        def __init__(self, key):
            self.mlp = eqx.nn.MLP(8, 1, 64, 2, key=key)

        def __call__(self, x, timespans=None, *, mask=None, key=None):
            return jax.vmap(self.mlp)(x)

    space = {
        "learning_rate": Float(1e-4, 1e-1, log=True),
        "weight_decay": Float(1e-6, 1e-1, log=True),
        "seed": Integer(0, 2**31 - 1),
    }
    options = {"trials": TRIALS, "method": "random", "epochs": EPOCHS, "batch_size": BATCH}
    seconds: list[float] = []
    compete = shoal.tune.searching.compete

    def watched(*args, **more):
        contest = compete(*args, **more)
        seconds.extend(contest.fitted.history.seconds)
        return contest

    shoal.tune.searching.compete = watched
    start = time.perf_counter()
    study = enqueued(in_memory(("loss",), ("minimize",)), 1e-1)
    found = search(Member, *data(), space=space, study=study, **options)
    everything = time.perf_counter() - start
    training = sum(seconds[1:]) * EPOCHS / (EPOCHS - 1)
    return {"everything": everything, "training": training, "loss": found.best.values["loss"]}


def run_optuna(threads: int) -> dict[str, float]:
    """One search with Optuna, each trial a training in PyTorch."""
    import optuna
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    (x, y), (x_valid, y_valid) = ([torch.from_numpy(a) for a in part] for part in data())

    def objective(trial):
        rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
        decay = trial.suggest_float("weight_decay", 1e-6, 1e-1, log=True)
        torch.manual_seed(trial.suggest_int("seed", 0, 2**31 - 1))
        layers = (nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
        net, best = nn.Sequential(*layers), float("inf")
        adam = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=decay)
        for _ in range(EPOCHS):
            for rows in torch.randperm(ROWS).split(BATCH):
                adam.zero_grad()
                loss = ((net(x[rows]) - y[rows]) ** 2).mean()
                loss.backward()
                adam.step()
            with torch.no_grad():
                best = min(best, float(((net(x_valid) - y_valid) ** 2).mean()))
        return best

    start = time.perf_counter()
    study = enqueued(optuna.create_study(), 1e-1)
    study.optimize(objective, n_trials=TRIALS)
    seconds = time.perf_counter() - start
    return {"everything": seconds, "training": seconds, "loss": study.best_value}


def measured(kind: str, options: dict) -> dict[str, float]:
    """One run in a fresh process."""
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false", "JAX_PLATFORMS": "cpu"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    command = [sys.executable, sys.argv[0], "--worker", kind, "--options", json.dumps(options)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(found.stdout.splitlines()[-1])


def compare(peers: dict, ours: dict, repeats: int) -> list[dict]:
    """Rows of the table: seconds of everybody, and how many times faster we are."""
    contestants = {
        **{name: ("optuna", options) for name, options in peers.items()},
        **{name: ("shoal", options) for name, options in ours.items()},
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, contestant in contestants.items():
            runs[name].append(measured(*contestant))
    best = {
        part: min(([run[part] for run in runs[name]] for name in peers), key=min)
        for part in ("everything", "training")
    }
    return [_row(name, runs[name], best, peer=name in peers) for name in contestants]


def _row(name: str, runs: list[dict[str, float]], best: dict, *, peer: bool) -> dict:
    row: dict[str, object] = {"contestant": name}
    for part in ("everything", "training"):
        seconds = [run[part] for run in runs]
        found = harness.summary(seconds)
        row |= {f"{part} min s": found["min_s"], f"{part} median s": found["median_s"]}
        if not peer:
            faster = harness.ratio(best[part], seconds)
            row |= {f"{part} x min": faster["min"], f"{part} x median": faster["median"]}
    return {**row, "best loss": runs[0]["loss"], "repeats": len(runs)}


def run(name: str, peers: dict, ours: dict, workers: dict, description: str) -> None:
    """The command line of a comparison whose runs are processes of their own."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", default=None, help="default: benchmarks/results/")
    parser.add_argument("--worker", choices=list(workers), help=argparse.SUPPRESS)
    parser.add_argument("--options", default="{}", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(workers[arguments.worker](**json.loads(arguments.options))))
        return
    rows = compare(peers, ours, arguments.repeats)
    print(harness.table(rows))
    print("written to", harness.save(name, rows, arguments.json))


if __name__ == "__main__":
    run("tune_mlp", PEERS, OURS, {"shoal": run_shoal, "optuna": run_optuna}, __doc__)
