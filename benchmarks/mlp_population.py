"""Sixteen MLPs trained at once, against torchensemble.

    python benchmarks/mlp_population.py [--repeats 5] [--peers 4] [--json PATH]

16 MLPs 8-64-64-1 with ReLU, Adam 1e-3, batch 64, 2000 rows, 50 epochs. Every run is a process of
its own, the contestants in turn; imports are not counted. "everything" is initialisation, tracing,
compilation (no compilation cache) and training; "training" leaves out all but the epochs.
torchensemble is measured with several numbers of threads and jobs, with PyTorch's own data loader
and with a faster one that cuts batches from tensors; its best in each column is what counts. On a
busy machine its several threads spin for minutes: `--peers 2` leaves them out.
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

MEMBERS, ROWS, EPOCHS, BATCH = 16, 2000, 50, 64
PEERS = {
    "torchensemble, 1 thread": {"threads": 1, "jobs": None, "loader": "pytorch"},
    "torchensemble, 1 thread, tensor loader": {"threads": 1, "jobs": None, "loader": "tensor"},
    "torchensemble, 2 threads": {"threads": 2, "jobs": None, "loader": "pytorch"},
    "torchensemble, 2 jobs": {"threads": 1, "jobs": 2, "loader": "pytorch"},
}
OURS = {"shoal": {}, "shoal, in turn": {"strategy": "loop"}}


def data() -> tuple[np.ndarray, np.ndarray]:
    """Inputs (rows, 8) and targets (rows, 1)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, 8), np.float32)
    return x, np.sin(x.sum(axis=1, keepdims=True)).astype(np.float32)


def run_shoal(strategy: str = "auto") -> dict[str, float]:
    """One training of ours."""
    import equinox as eqx
    import jax

    import shoal

    class Member(eqx.Module):
        mlp: eqx.nn.MLP

        def __init__(self, key):
            self.mlp = eqx.nn.MLP(8, 1, 64, 2, key=key)

        def __call__(self, x, timespans=None, *, mask=None, key=None):
            return jax.vmap(self.mlp)(x)

    shoal.fit, shoal.Population  # noqa: B018  imported here, not in the measured part
    train = data()
    ends: list[float] = []
    start = time.perf_counter()
    fitted = shoal.fit(
        shoal.Population.init(Member, MEMBERS),
        train,
        epochs=EPOCHS,
        batch_size=BATCH,
        learning_rate=1e-3,
        stopping=None,
        strategy=strategy,
        on_epoch=lambda info: ends.append(time.perf_counter()),
    )
    jax.block_until_ready(jax.tree.leaves(eqx.filter(fitted.population, eqx.is_array)))
    everything = time.perf_counter() - start
    epochs = (ends[-1] - ends[0]) * EPOCHS / (EPOCHS - 1)  # the first one compiles
    loss = float(fitted.history.matrix("train_loss")[-1].mean())
    return {"everything": everything, "training": epochs, "loss": loss}


class TensorLoader:
    """Shuffled batches cut from tensors."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self) -> int:
        return -(-len(self.x) // BATCH)

    def __iter__(self):
        import torch

        for rows in torch.randperm(len(self.x)).split(BATCH):
            yield self.x[rows], self.y[rows]


def run_torchensemble(threads: int, jobs: int | None, loader: str) -> dict[str, float]:
    """One training of torchensemble's `VotingRegressor`."""
    import logging

    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset
    from torchensemble import VotingRegressor

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
            )

        def forward(self, x):
            return self.layers(x)

    torch.set_num_threads(threads)
    logging.disable(logging.CRITICAL)
    x, y = map(torch.from_numpy, data())
    start = time.perf_counter()
    batches = (
        TensorLoader(x, y)
        if loader == "tensor"
        else DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)
    )
    model = VotingRegressor(Net, n_estimators=MEMBERS, cuda=False, n_jobs=jobs)
    model.logger = logging.getLogger("quiet")
    model.set_criterion(nn.MSELoss())
    model.set_optimizer("Adam", lr=1e-3)
    model.fit(batches, epochs=EPOCHS, log_interval=10**9, save_model=False)
    seconds = time.perf_counter() - start
    with torch.no_grad():
        losses = [float(((net(x) - y) ** 2).mean()) for net in model.estimators_]
    return {"everything": seconds, "training": seconds, "loss": float(np.mean(losses))}


def measured(kind: str, options: dict) -> dict[str, float]:
    """One run in a fresh process."""
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false", "JAX_PLATFORMS": "cpu"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    command = [sys.executable, __file__, "--worker", kind, "--options", json.dumps(options)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(found.stdout.splitlines()[-1])


def compare(repeats: int, peers: int) -> list[dict]:
    """Rows of the table: seconds of everybody, and how many times faster we are."""
    contestants = {
        **{name: ("torchensemble", PEERS[name]) for name in list(PEERS)[:peers]},
        **{name: ("shoal", options) for name, options in OURS.items()},
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, contestant in contestants.items():
            runs[name].append(measured(*contestant))
    best = {part: _best(runs, part) for part in ("everything", "training")}
    return [_row(name, runs[name], best, peer=name in PEERS) for name in contestants]


def _best(runs: dict, part: str) -> list[float]:
    peers = [[run[part] for run in runs[name]] for name in PEERS if name in runs]
    return min(peers, key=min)


def _row(name: str, runs: list[dict[str, float]], best: dict, *, peer: bool) -> dict:
    row: dict[str, object] = {"contestant": name}
    for part in ("everything", "training"):
        seconds = [run[part] for run in runs]
        found = harness.summary(seconds)
        row |= {f"{part} min s": found["min_s"], f"{part} median s": found["median_s"]}
        if not peer:
            faster = harness.ratio(best[part], seconds)
            row |= {f"{part} x min": faster["min"], f"{part} x median": faster["median"]}
    return {**row, "training loss": runs[0]["loss"], "repeats": len(runs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", type=int, default=len(PEERS), help="how many of the peer's ways")
    parser.add_argument("--json", default=None, help="default: benchmarks/results/")
    parser.add_argument("--worker", choices=("shoal", "torchensemble"), help=argparse.SUPPRESS)
    parser.add_argument("--options", default="{}", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        run = run_shoal if arguments.worker == "shoal" else run_torchensemble
        print(json.dumps(run(**json.loads(arguments.options))))
        return
    rows = compare(arguments.repeats, arguments.peers)
    print(harness.table(rows))
    print("written to", harness.save("mlp_population", rows, arguments.json))


if __name__ == "__main__":
    main()
