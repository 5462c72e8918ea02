"""A swarm on the weights of a network: 4954 of them, 64 particles, beside a loop in PyTorch.

    python benchmarks/swarm_network.py [--quick] [--repeats 5] [--json PATH]

The network is an MLP 20-64-48-10 with tanh, the loss the share of 1024 rows that it gets wrong. The
loop is what one writes in PyTorch: the swarm's update over all particles at once, then every
particle's weights put into the network and the network called. Seconds of 50 moves, programs
compiled before; ours with every way of evaluating. `--quick` takes 5 moves.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import pairwise

import harness
import numpy as np

SIZES, ROWS, PARTICLES = (20, 64, 48, 10), 1024, 64
PULLS = (0.7298, 1.49618, 1.49618)


def data() -> tuple[np.ndarray, np.ndarray]:
    """Classes that a network of the kind can tell apart."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, SIZES[0])).astype(np.float32)
    teacher = rng.standard_normal((SIZES[0], SIZES[-1])).astype(np.float32)
    return x, np.argmax(np.tanh(x) @ teacher, axis=1)


def ours(how, moves: int) -> Callable[[], float]:
    import jax.numpy as jnp

    from shoal.swarm import ParticleSwarm

    x, y = (jnp.asarray(a) for a in data())
    like = [{"weight": jnp.zeros((a, b)), "bias": jnp.zeros(b)} for a, b in pairwise(SIZES)]
    swarm, seeds = ParticleSwarm(PARTICLES, (-1.0, 1.0)), iter(range(10_000))

    def run() -> float:
        found = swarm.minimise(
            wrong, like, iterations=moves, key=next(seeds), args=(x, y), evaluate=how
        )
        return found.value

    return run


def wrong(layers, x, y):
    """The share of rows that are classified wrongly."""
    import jax.numpy as jnp

    for layer in layers[:-1]:
        x = jnp.tanh(x @ layer["weight"] + layer["bias"])
    x = x @ layers[-1]["weight"] + layers[-1]["bias"]
    return jnp.mean(jnp.argmax(x, axis=1) != y)


def torch_loop(moves: int) -> Callable[[], float]:
    import torch
    from torch.nn.utils import vector_to_parameters

    x, y = (torch.from_numpy(a) for a in data())
    layers: list = []
    for a, b in pairwise(SIZES):
        layers += [torch.nn.Linear(a, b), torch.nn.Tanh()]
    net = torch.nn.Sequential(*layers[:-1])
    dims = sum(p.numel() for p in net.parameters())

    def losses(rows: torch.Tensor) -> torch.Tensor:
        found = []
        for row in rows:
            vector_to_parameters(row, net.parameters())
            found.append((net(x).argmax(1) != y).float().mean())
        return torch.stack(found)

    seeds = iter(range(10_000))

    @torch.no_grad()
    def run() -> float:
        torch.manual_seed(next(seeds))
        inertia, own_pull, social = PULLS
        at = torch.empty(PARTICLES, dims).uniform_(-1, 1)
        speed = 0.5 * (torch.empty_like(at).uniform_(-1, 1) - at)
        best, least = at.clone(), losses(at)
        for _ in range(moves - 1):
            heard = best[least.argmin()]
            pulls = own_pull * torch.rand_like(at) * (best - at)
            speed = inertia * speed + pulls + social * torch.rand_like(at) * (heard - at)
            speed = speed.clamp(-1, 1)
            at = (at + speed).clamp(-1, 1)
            now = losses(at)
            better = now < least
            least = torch.where(better, now, least)
            best = torch.where(better[:, None], at, best)
        return float(least.min())

    return run


def compare(moves: int, repeats: int) -> list[dict]:
    """Rows of the table."""
    best: dict[str, list[float]] = {}

    def noted(name: str, run: Callable[[], float]) -> Callable[[], None]:
        return lambda: best.setdefault(name, []).append(run())

    runs = {f"shoal, {how}": ours(how, moves) for how in ("auto", "vmap", "map", 8, 32)}
    runs["PyTorch, particle by particle"] = torch_loop(moves)
    seconds = harness.timed({name: noted(name, run) for name, run in runs.items()}, repeats)
    *_, peer = seconds.values()
    return [
        {
            "contestant": name,
            **harness.summary(own),
            "ms per move": 1e3 * min(own) / moves,
            "wrong at the end": float(np.median(best[name])),
            **{f"times PyTorch, {kind}": r for kind, r in harness.ratio(peer, own).items()},
        }
        for name, own in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 moves, 2 repeats")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", default=None, help="default: benchmarks/results/")
    arguments = parser.parse_args()
    rows = compare(*((5, 2) if arguments.quick else (50, arguments.repeats)))
    print(harness.table(rows))
    print("written to", harness.save("swarm_network", rows, arguments.json))


if __name__ == "__main__":
    main()
