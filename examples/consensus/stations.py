"""Six stations locate a ship by distance and bearing; now and then one of them sees a ghost.

The ship lies anywhere in the square [-1, 1]², the stations on a circle of radius 1.5. A station
measures with noise, distance by 5 % and bearing by 0.1 rad, so that a far ship is located worse,
which a station can know. With probability `faulty` it measures another place altogether instead,
which it cannot know: only the others can tell.

Every agent is a small network that turns its own station's measurement into a normal distribution
over places. Compared on the same agents, as distance from the truth:

    one agent, mean and best        the members
    mean, median                    of the agents' places, coordinate by coordinate
    median, rescaled                times the number that fits the training scenes best: an agent
                                    that must reckon with ghosts keeps nearer to the middle
    confidence vote                 the mean weighted by the agents' own precision
    stacking                        one MLP on all answers side by side, for exactly six agents
    consensus without messages      encoder and head on every agent's answer, averaged
    consensus                       the same with up to five rounds of messages

All that learns trains on 10 000 scenes and is tested on 10 000 others; the same networks are then
asked about more and fewer ghosts, and the consensus with some stations switched off.

    python examples/consensus/stations.py [--seeds 5] [--out examples/consensus/results.json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import shoal
from shoal.collective import ConsensusNetwork, VotingLayer
from shoal.equations.outputs import Normal
from shoal.neurons.frozen import Frozen

STATIONS, FAULTY = 6, 0.2
ANGLES = 2 * np.pi * np.arange(STATIONS) / STATIONS
PLACES = 1.5 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=-1)

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


class Scenes(NamedTuple):
    """x (rows, stations, 3): distance, cosine and sine of the bearing; y (rows, 2): the truth;
    ghost (rows, stations): who saw one."""

    x: np.ndarray
    y: np.ndarray
    ghost: np.ndarray


def measure(rows: int, seed: int, faulty: float = FAULTY) -> Scenes:
    """Scenes with the ship anywhere.

    >>> [part.shape for part in measure(4, seed=0)]
    [(4, 6, 3), (4, 2), (4, 6)]
    """
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-1, 1, (rows, 2))
    ghosts = rng.uniform(-1, 1, (rows, STATIONS, 2))
    wrong = rng.random((rows, STATIONS, 1)) < faulty
    seen = np.where(wrong, ghosts, truth[:, None]) - PLACES
    distance = np.hypot(*seen.T).T * (1 + 0.05 * rng.normal(size=(rows, STATIONS)))
    bearing = np.arctan2(seen[..., 1], seen[..., 0]) + 0.1 * rng.normal(size=(rows, STATIONS))
    x = np.stack([distance, np.cos(bearing), np.sin(bearing)], axis=-1)
    return Scenes(x.astype(np.float32), truth.astype(np.float32), wrong[..., 0])


class Agent(eqx.Module):
    """A small network that sees one station's measurement."""

    body: eqx.nn.MLP
    head: shoal.Head
    station: Frozen

    def __init__(self, station: int, key: jax.Array):
        a, b = jax.random.split(key)
        self.body = eqx.nn.MLP(3, 32, 32, 1, final_activation=jax.nn.relu, key=a)
        self.head = shoal.Head(32, (2,), "normal", key=b)
        self.station = Frozen(station)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return self.head(jax.vmap(self.body)(jnp.take(x, self.station.value, axis=1)))


class Settled(eqx.Module):
    """An agent that has finished learning: no gradient reaches it."""

    agent: Agent

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return jax.lax.stop_gradient(self.agent(x))


class Stacking(eqx.Module):
    """One MLP on the means and standard deviations of all agents."""

    agents: shoal.Population
    mlp: eqx.nn.MLP

    def __init__(self, agents: shoal.Population, key: jax.Array):
        self.agents, self.mlp = agents, eqx.nn.MLP(STATIONS * 4, 2, 64, 2, key=key)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        said = self.agents(x)
        numbers = jnp.concatenate([said.mean, jnp.log(said.std)], axis=-1)
        return jax.vmap(self.mlp)(jnp.swapaxes(numbers, 0, 1).reshape(len(x), -1))


def train_agents(train: Scenes, valid: Scenes, seed: int, epochs: int) -> shoal.Population:
    """Every agent for itself."""
    makes = [lambda key, s=s: Agent(s, key) for s in range(STATIONS)]
    crowd = shoal.Population.init(makes, STATIONS, base_seed=100 * seed)
    fitted = _fit(crowd, train, valid, epochs)
    return shoal.Population.of([Settled(fitted[i]) for i in range(STATIONS)])


def train_one(make: Callable, train: Scenes, valid: Scenes, seed: int, epochs: int) -> Any:
    """What is learned on top of settled agents."""
    return _fit(shoal.Population.init(make, 1, base_seed=seed), train, valid, epochs)[0]


def _fit(crowd: shoal.Population, train: Scenes, valid: Scenes, epochs: int) -> shoal.Population:
    options = {"batch_size": 100, "learning_rate": 3e-3, "stopping": None, "strategy": "vmap"}
    options |= {"schedule": "cosine"}
    return shoal.fit(crowd, train[:2], valid[:2], epochs=epochs, **options).population


def consensus(agents: shoal.Population, iterations: int = 5) -> Callable:
    """How to make such a network from a key."""
    return lambda key: ConsensusNetwork(agents, 4, 32, (2,), iterations=iterations, key=key)


def error(found: Any, y: np.ndarray) -> float:
    """The root of the mean squared distance from the truth."""
    found = found.mean if isinstance(found, Normal) else found
    return float(np.sqrt(np.mean(np.sum((np.asarray(found) - y) ** 2, axis=-1))))


def median(agents: shoal.Population, scenes: Scenes) -> np.ndarray:
    """The median place, coordinate by coordinate."""
    return np.median(agents(scenes.x).mean, axis=0)


def errors(
    agents: shoal.Population, learned: dict[str, Any], scale: float, scenes: Scenes
) -> dict[str, float]:
    """Everybody's error on these scenes."""
    x, y, said = scenes.x, scenes.y, agents(scenes.x)
    single = [error(mean, y) for mean in said.mean]
    return {
        "one agent, mean": float(np.mean(single)),
        "one agent, best": min(single),
        "mean": error(VotingLayer().vote(said).answer, y),
        "median": error(median(agents, scenes), y),
        "median, rescaled": error(scale * median(agents, scenes), y),
        "confidence vote": error(VotingLayer(method="confidence").vote(said).answer, y),
        **{name: error(ask(network, x), y) for name, network in learned.items()},
    }


@eqx.filter_jit
def ask(network: Any, x: Any) -> Any:
    return network(x)


def run(seed: int, epochs: int = 30) -> dict[str, Any]:
    """Test errors of everything for one seed, and how the consensus came about."""
    train, valid, test = (measure(n, 100 * seed + i) for i, n in enumerate([10_000, 2_000, 10_000]))
    agents = train_agents(train, valid, seed, epochs)
    makes = {
        "stacking": lambda key: Stacking(agents, key),
        "consensus without messages": consensus(agents, 0),
        "consensus": consensus(agents, 5),
    }
    learned = {n: train_one(make, train, valid, seed, epochs) for n, make in makes.items()}
    talk = eqx.filter_jit(lambda network, x: network.discuss(x))(learned["consensus"], test.x)
    ghosts = test.ghost.sum(1)
    middle = median(agents, train)
    scale = float((middle * train.y).sum() / (middle**2).sum())
    others = [measure(10_000, 100 * seed + 9, rate) for rate in RATES]
    return {
        "errors": errors(agents, learned, scale, test),
        "by_rate": [errors(agents, learned, scale, scenes) for scenes in others],
        "fewer": [_with(learned["consensus"], n, test) for n in range(1, STATIONS + 1)],
        "agreement": [np.mean(talk.agreement[:, ghosts == n], axis=1).tolist() for n in range(4)],
    }


def _with(network: ConsensusNetwork, stations: int, scenes: Scenes) -> float:
    """The error with the first stations alone, and nothing learned anew."""
    fewer = eqx.tree_at(lambda n: n.agents, network, network.agents.select(range(stations)))
    return error(ask(fewer, scenes.x), scenes.y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    start, runs = time.monotonic(), []
    for seed in range(arguments.seeds):
        runs.append(run(seed, arguments.epochs))
        print(seed, {k: round(v, 3) for k, v in runs[-1]["errors"].items()}, flush=True)
    for name in runs[0]["errors"] if len(runs) > 1 else ():
        values = np.array([r["errors"][name] for r in runs])
        print(f"{name:28s} {values.mean():.3f} ± {values.std(ddof=1):.3f}")
    print(f"{time.monotonic() - start:.0f} s")
    if arguments.out:
        kept = {"epochs": arguments.epochs, "rates": RATES, "runs": runs}
        arguments.out.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
