"""What a uniform collective adds to evaluating its members.

    python benchmarks/collective.py [--repeats 21] [--json PATH]

In one compiled program, of encoded arrays on the device: the members' answers, or the crowd's mean
and both parts of its uncertainty (`shoal.weighting.moments_of`). In turns, one process. Under it,
for what it is worth, `Collective.predict(x).std` beside the members' answers brought to the host:
it checks every value and works in double precision there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import equinox as eqx
import harness
import jax
import numpy as np

import shoal
from shoal.collective import Collective
from shoal.neurons.mlp import MLP
from shoal.neurons.model import Head, SequenceModel
from shoal.weighting import Uniform, moments_of

RNG = np.random.default_rng(0)


def mlps(members: int, rows: int) -> tuple:
    """MLPs 8-64-64-1 and what they are asked."""
    people = shoal.Population.init(lambda key: MLP(8, 64, (1,), num_layers=2, key=key), members)
    return f"{members} MLPs, {rows} rows", people, (RNG.standard_normal((rows, 8), np.float32),)


def cfcs(members: int, rows: int) -> tuple:
    """CfCs of 32 units with normal answers, over 50 steps."""

    def make(key):
        own, other = jax.random.split(key)
        rnn = shoal.CfC(8, 32, key=own)
        return SequenceModel(rnn, Head(32, (1,), "normal", key=other))

    x = RNG.standard_normal((rows, 50, 8), np.float32)
    timespans = RNG.uniform(0.5, 1.5, (rows, 50)).astype(np.float32)
    people = shoal.Population.init(make, members)
    return f"{members} CfCs, {rows} sequences", people, (x, timespans)


def compiled(people, inputs) -> tuple[Callable, Callable]:
    """The members alone, and as a collective, each as one program."""
    alone = eqx.filter_jit(lambda people, *inputs: people(*inputs))

    @eqx.filter_jit
    def together(people, *inputs):
        return moments_of(Uniform(), people(*inputs))

    placed = jax.device_put(inputs)
    return (
        lambda: jax.block_until_ready(alone(people, *placed)),
        lambda: jax.block_until_ready(together(people, *placed)),
    )


def on_host(people, inputs) -> tuple[Callable, Callable]:
    """The same from arrays of NumPy to arrays of NumPy."""
    crowd = Collective(people)

    def alone():
        return jax.tree.map(lambda a: np.asarray(a, np.float64), people(*inputs))

    return alone, lambda: crowd.predict(*inputs).std


def rows_of(problem: tuple, repeats: int) -> list[dict]:
    """A line for each way."""
    name, people, inputs = problem
    found = []
    for way, limit, make in (("compiled", "5 %", compiled), ("predict", "", on_host)):
        alone, together = make(people, inputs)
        seconds = harness.timed({"alone": alone, "together": together}, repeats, warmup=2)
        members, crowd = (harness.summary(seconds[k]) for k in ("alone", "together"))
        found.append(
            {
                "crowd": name,
                "way": way,
                "members ms, min": 1e3 * members["min_s"],
                "members ms, median": 1e3 * members["median_s"],
                "collective ms, min": 1e3 * crowd["min_s"],
                "collective ms, median": 1e3 * crowd["median_s"],
                "adds %, min": 100 * (crowd["min_s"] / members["min_s"] - 1),
                "adds %, median": 100 * (crowd["median_s"] / members["median_s"] - 1),
                "at most": limit,
                "repeats": repeats,
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--json", default=None, help="default: benchmarks/results/")
    arguments = parser.parse_args()
    rows = []
    for problem in (mlps(5, 4096), mlps(16, 4096), cfcs(5, 256), cfcs(16, 256)):
        rows += rows_of(problem, arguments.repeats)
    print(harness.table(rows))
    print("written to", harness.save("collective", rows, arguments.json))


if __name__ == "__main__":
    main()
