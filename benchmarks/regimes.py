"""What a regime costs: seconds per member and epoch, beside independent training.

    python benchmarks/regimes.py [--repeats 7] [--json PATH]

8 MLPs 8-64-64-1 on 2000 rows in batches of 64, and 8 CfCs of 16 units on 128 sequences of 32 steps
in batches of 32. All regimes take turns in one process; of each training the fastest epoch counts,
without compilation, set-up, what a stage begins with, and the score at the end. Regimes that train
members one after the other (snapshot, boosting) are told per member and epoch of those that
trained, and beside independent members that train in turn too (`strategy="loop"`): what is side by
side shares the cost of every step.
"""

from __future__ import annotations

import argparse
import statistics
import time

import equinox as eqx
import harness
import jax
import numpy as np

import shoal
from shoal.neurons.mlp import MLP
from shoal.neurons.model import Head, SequenceModel
from shoal.population.regimes import REGIMES

MEMBERS = 8
IN_TURN = "independent, one after the other"
BOOSTING = ("gradient_boosting", "adaboost")  # no limit: each waits for those before it
SEQUENTIAL = ("snapshot", *BOOSTING)
RNG = np.random.default_rng(0)


def mlps() -> tuple:
    """The population, its data, and what `fit` is told."""
    x = RNG.standard_normal((2000, 8), np.float32)
    y = np.sin(x.sum(1, keepdims=True))
    people = shoal.Population.init(lambda key: MLP(8, 64, (1,), num_layers=2, key=key), MEMBERS)
    return people, (x, y), {"batch_size": 64, "epochs": 5}


def cfcs() -> tuple:
    """The same of recurrent members."""

    def make(key):
        own, other = jax.random.split(key)
        rnn = shoal.CfC(4, 16, backbone_units=32, key=own)
        return SequenceModel(rnn, Head(16, (1,), key=other))

    x = RNG.standard_normal((128, 32, 4), np.float32)
    timespans = RNG.uniform(0.5, 1.5, (128, 32)).astype(np.float32)
    return (
        shoal.Population.init(make, MEMBERS),
        (x, timespans, x.sum((1, 2))[:, None]),
        {
            "batch_size": 32,
            "epochs": 3,
        },
    )


def epoch_times(regime, people, data, strategy, batch_size, epochs) -> list[float]:
    """Seconds per member and epoch, of every epoch but each stage's first."""
    seconds: list[float] = []
    last = time.perf_counter()

    def told(info):
        nonlocal last
        now = time.perf_counter()
        fresh = info.epoch % epochs == 0  # a stage begins: what it needs is not the epoch's
        if not fresh:
            seconds.append((now - last) / info.active.sum())
        last = time.perf_counter()

    fitted = shoal.fit(
        people,
        data,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=1e-3,
        stopping=None,
        strategy=strategy,
        regime=regime,
        on_epoch=told,
    )
    jax.block_until_ready(jax.tree.leaves(eqx.filter(fitted.last, eqx.is_array)))
    return seconds


def contest(name: str, problem: tuple, repeats: int) -> list[dict]:
    """Rows of one kind of member: every regime beside independent training."""
    people, data, options = problem
    contestants = {regime: (regime, "auto") for regime in REGIMES}
    contestants[IN_TURN] = ("independent", "loop")
    runs: dict[str, list[float]] = {contestant: [] for contestant in contestants}
    for turn in range(repeats + 1):
        for contestant, (regime, strategy) in contestants.items():
            found = epoch_times(regime, people, data, strategy, **options)
            if turn:  # the first one compiles
                runs[contestant].append(min(found))
    return [row(name, contestant, runs) for contestant in contestants]


def row(name: str, contestant: str, runs: dict[str, list[float]]) -> dict:
    """One line of the table."""
    seconds, alone = runs[contestant], runs["independent"]
    found: dict[str, object] = {
        "members": name,
        "regime": contestant,
        "min ms": 1e3 * min(seconds),
        "median ms": 1e3 * statistics.median(seconds),
        "x independent, min": min(seconds) / min(alone),
        "x independent, median": statistics.median(seconds) / statistics.median(alone),
        "at most": "" if contestant in (*BOOSTING, "independent", IN_TURN) else "1.3",
        "x in turn, min": "",
    }
    if contestant in SEQUENTIAL:
        found["x in turn, min"] = min(seconds) / min(runs[IN_TURN])
    return {**found, "repeats": len(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", default=None, help="default: benchmarks/results/")
    arguments = parser.parse_args()
    rows = contest("MLP", mlps(), arguments.repeats)
    rows += contest("CfC", cfcs(), arguments.repeats)
    print(harness.table(rows))
    print("written to", harness.save("regimes", rows, arguments.json))


if __name__ == "__main__":
    main()
