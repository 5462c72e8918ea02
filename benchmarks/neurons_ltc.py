"""One training step of an LTC, ours beside `ncps.torch`.

    python benchmarks/neurons_ltc.py [--dense 32] [--policy 64 8] [--repeats 7] [--json PATH]

A step is the loss, its gradient and an Adam update, over a batch of 64 series of 100 observations
with 8 features, 6 unfolds. Both take turns; the peer gets the number of threads that suits it best.
"""

from __future__ import annotations

import argparse

import equinox as eqx
import harness
import jax
import jax.numpy as jnp
import ncps.torch
import ncps.wirings
import numpy as np
import optax
import torch

from shoal.neurons.ltc import LTC
from shoal.wirings import AutoNCP, FullyConnected


def our_step(wiring, x: np.ndarray):
    """A call that trains our LTC once."""
    rnn = LTC(x.shape[-1], wiring, key=0)
    optimiser = optax.adam(1e-3)
    params, rest = eqx.partition(rnn, eqx.is_inexact_array)
    x = jnp.asarray(x)

    @jax.jit
    def train(params, state):
        def loss(params):
            return (eqx.combine(params, rest)(x)[0] ** 2).mean()

        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(params, updates), state, value

    carried = params, optimiser.init(params)

    def call():
        nonlocal carried
        *carried, value = train(*carried)
        return value.block_until_ready()

    return call


def peer_step(wiring, x: np.ndarray, threads: int):
    """A call that trains the ncps.torch LTC once."""
    rnn = ncps.torch.LTC(x.shape[-1], wiring)
    optimiser = torch.optim.Adam(rnn.parameters(), 1e-3)
    x = torch.tensor(x)

    def call():
        torch.set_num_threads(threads)
        optimiser.zero_grad()
        loss = (rnn(x)[0] ** 2).mean()
        loss.backward()
        optimiser.step()
        return loss.item()

    return call


def compare(name: str, ours, theirs, x: np.ndarray, threads: list[int], repeats: int) -> dict:
    """A row of the table."""
    contestants = {"shoal": our_step(ours, x)}
    contestants |= {f"ncps {n}": peer_step(theirs(), x, n) for n in threads}
    seconds = harness.timed(contestants, repeats)
    mine = seconds.pop("shoal")
    best = min(seconds, key=lambda key: min(seconds[key]))
    row = {"wiring": name, "ours min ms": 1e3 * min(mine), "ours median ms": 1e3 * np.median(mine)}
    row |= {"peer": best, "peer min ms": 1e3 * min(seconds[best])}
    row |= {"peer median ms": 1e3 * float(np.median(seconds[best]))}
    ratios = harness.ratio(seconds[best], mine)
    return row | {"ratio of min": ratios["min"], "ratio of median": ratios["median"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dense", type=int, nargs="*", default=[32], metavar="UNITS")
    parser.add_argument("--policy", type=int, nargs=2, action="append", metavar=("UNITS", "OUT"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--time", type=int, default=100)
    parser.add_argument("--inputs", type=int, default=8)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of the peer")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", default=None, help="default: benchmarks/results/")
    options = parser.parse_args()
    size = (options.batch, options.time, options.inputs)
    x = np.random.default_rng(0).normal(size=size).astype(np.float32)
    rows, common = [], (x, options.threads, options.repeats)
    for units in options.dense:
        pair = FullyConnected(units), lambda units=units: ncps.wirings.FullyConnected(units)
        rows.append(compare(f"dense {units}", *pair, *common))
    for pair in options.policy or [[64, 8]]:
        both = AutoNCP(*pair), lambda pair=pair: ncps.wirings.AutoNCP(*pair)
        rows.append(compare(f"AutoNCP{tuple(pair)}", *both, *common))
    print(harness.table(rows))
    print("written to", harness.save("neurons_ltc", rows, options.json))


if __name__ == "__main__":
    main()
