"""Thirty-two trials of a CfC side by side, against Optuna driving ncps one after the other.

    python benchmarks/tune_cfc.py [--repeats 3] [--json PATH]

The CfC has 8 inputs, 32 units and a backbone of 128, and reads 100 steps; batch 64, 640 rows to
train and 128 to validate, 8 epochs of Adam. Trials differ in learning rate, weight decay and seed;
the rest is as in `tune_mlp.py`. Ours works on as many host devices as there are cores, as `shoal
tune` does.
"""

from __future__ import annotations

import os
import time

import numpy as np
import tune_mlp

TRIALS, ROWS, VALID, EPOCHS, BATCH = 32, 640, 128, 8, 64
TIME, INPUTS, UNITS, BACKBONE = 100, 8, 32, 128
PEERS = {"Optuna, ncps 1 thread": {"threads": 1}, "Optuna, ncps 2 threads": {"threads": 2}}
OURS = {"shoal": {}}


def data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Inputs (rows, time, 8) and targets (rows, 1), to train and to validate."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS + VALID, TIME, INPUTS), np.float32)
    y = np.sin(x[:, -10:].sum(axis=(1, 2)))[:, None].astype(np.float32)
    return (x[:ROWS], y[:ROWS]), (x[ROWS:], y[ROWS:])


def run_shoal() -> dict[str, float]:
    """One search of ours."""
    from shoal.run.devices import host_devices

    name = "--xla_force_host_platform_device_count"
    os.environ["XLA_FLAGS"] = f"{name}={host_devices('auto', TRIALS)}"
    import shoal.tune.searching
    from shoal import CfC, Head, SequenceModel
    from shoal.tune import Float, Integer, search
    from shoal.tune.storage import in_memory

    def make(key):
        rnn = CfC(INPUTS, UNITS, backbone_units=BACKBONE, return_sequences=False, key=key)
        return SequenceModel(rnn, Head(UNITS, (1,), key=key))

    space = {
        "learning_rate": Float(1e-4, 3e-2, log=True),
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
    study = tune_mlp.enqueued(in_memory(("loss",), ("minimize",)), 3e-2)
    found = search(make, *data(), space=space, study=study, **options)
    everything = time.perf_counter() - start
    training = sum(seconds[1:]) * EPOCHS / (EPOCHS - 1)
    return {"everything": everything, "training": training, "loss": found.best.values["loss"]}


def run_optuna(threads: int) -> dict[str, float]:
    """One search with Optuna, each trial a training of ncps."""
    import optuna
    import torch
    from ncps.torch import CfC
    from torch import nn

    torch.set_num_threads(threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    (x, y), (x_valid, y_valid) = ([torch.from_numpy(a) for a in part] for part in data())

    def objective(trial):
        rate = trial.suggest_float("learning_rate", 1e-4, 3e-2, log=True)
        decay = trial.suggest_float("weight_decay", 1e-6, 1e-1, log=True)
        torch.manual_seed(trial.suggest_int("seed", 0, 2**31 - 1))
        rnn = CfC(INPUTS, UNITS, backbone_units=BACKBONE, return_sequences=False)
        head, best = nn.Linear(UNITS, 1), float("inf")
        parameters = [*rnn.parameters(), *head.parameters()]
        adam = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
        for _ in range(EPOCHS):
            for rows in torch.randperm(ROWS).split(BATCH):
                adam.zero_grad()
                loss = ((head(rnn(x[rows])[0]) - y[rows]) ** 2).mean()
                loss.backward()
                adam.step()
            with torch.no_grad():
                best = min(best, float(((head(rnn(x_valid)[0]) - y_valid) ** 2).mean()))
        return best

    start = time.perf_counter()
    study = tune_mlp.enqueued(optuna.create_study(), 3e-2)
    study.optimize(objective, n_trials=TRIALS)
    seconds = time.perf_counter() - start
    return {"everything": seconds, "training": seconds, "loss": study.best_value}


if __name__ == "__main__":
    workers = {"shoal": run_shoal, "optuna": run_optuna}
    tune_mlp.run("tune_cfc", PEERS, OURS, workers, __doc__)
