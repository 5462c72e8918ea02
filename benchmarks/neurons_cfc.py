"""CfC against ncps.torch: one training step, dense and wired.

    python benchmarks/neurons_cfc.py [--repeats 15] [--json PATH]

A step is the gradient of a mean squared error over the whole sequence and an Adam update: batch 64,
100 steps, 8 inputs. The contestants take turns in one process; PyTorch runs with the number of
threads that suits it best, found beforehand.
"""

from __future__ import annotations

import argparse
import os

import equinox as eqx
import harness
import jax
import jax.numpy as jnp
import ncps.torch
import ncps.wirings
import numpy as np
import optax
import torch

import shoal
from shoal.wirings import AutoNCP

BATCH, TIME, INPUTS = 64, 100, 8


def data(outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets, (batch, time, ·)."""
    rng = np.random.default_rng(0)
    shape = (BATCH, TIME)
    return (
        rng.standard_normal((*shape, INPUTS), np.float32),
        rng.standard_normal((*shape, outputs), np.float32),
    )


def shoal_step(rnn):
    """A compiled training step of ours, holding its own state."""
    trainable, rest = shoal.neurons.partition(rnn)
    optimiser = optax.adam(1e-3)
    x, y = map(jnp.asarray, data(rnn.output_size))

    @jax.jit
    def step(params, state):
        def loss(params):
            output, _ = eqx.combine(params, rest)(x)
            return jnp.mean((output - y) ** 2)

        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimiser.update(gradient, state)
        return eqx.apply_updates(params, updates), state, value

    held = [trainable, optimiser.init(trainable)]

    def call():
        *held[:], value = step(*held)
        return value.block_until_ready()

    return call


def ncps_step(rnn, outputs: int, threads: int):
    """A training step of the peer's."""
    optimiser = torch.optim.Adam(rnn.parameters())
    x, y = map(torch.from_numpy, data(outputs))

    def call():
        torch.set_num_threads(threads)
        optimiser.zero_grad()
        loss = ((rnn(x)[0] - y) ** 2).mean()
        loss.backward()
        optimiser.step()
        return loss.item()

    return call


def best_threads(make) -> int:
    """The number of threads that the peer is fastest with."""
    counts = range(1, (os.cpu_count() or 1) + 1)
    seconds = harness.timed({str(n): make(n) for n in counts}, repeats=5)
    return int(min(seconds, key=lambda n: min(seconds[n])))


def compare(name: str, ours, theirs, outputs: int, target: float, repeats: int) -> dict:
    """One row of the table."""

    def peer(threads: int):
        return ncps_step(theirs, outputs, threads)

    threads = best_threads(peer)
    contestants = {"shoal": shoal_step(ours), "ncps": peer(threads)}
    seconds = harness.timed(contestants, repeats=repeats, warmup=2)
    row = {"what": name, "peer threads": threads}
    for who, measured in seconds.items():
        figures = harness.summary(measured)
        row |= {
            f"{who} min ms": 1e3 * figures["min_s"],
            f"{who} median ms": 1e3 * figures["median_s"],
        }
    ratio = harness.ratio(seconds["ncps"], seconds["shoal"])
    return row | {"ratio min": ratio["min"], "ratio median": ratio["median"], "must": target}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", default=None)
    arguments = parser.parse_args()
    dense = shoal.CfC(INPUTS, 32, key=0), ncps.torch.CfC(INPUTS, 32)
    wiring = ncps.wirings.AutoNCP(64, 8)
    wired = shoal.CfC(INPUTS, AutoNCP(64, 8), key=0), ncps.torch.CfC(INPUTS, wiring)
    rows = [
        compare("CfC 32, backbone 128", *dense, 32, 3.0, arguments.repeats),
        compare("CfC AutoNCP(64, 8)", *wired, 8, 3.0, arguments.repeats),
    ]
    print(harness.table(rows))
    print("written to", harness.save("neurons_cfc", rows, arguments.json))


if __name__ == "__main__":
    main()
