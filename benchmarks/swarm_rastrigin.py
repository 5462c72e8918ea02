"""A swarm on Rastrigin's function, 100 dimensions, 1024 particles, 200 moves: beside others.

    python benchmarks/swarm_rastrigin.py [--quick] [--repeats 7] [--json PATH]

Seconds of a whole search, programs compiled before; ours and evosax in float32, PySwarms in NumPy's
float64. Ours with each of its three ways to make random numbers. "found" is the median of the best
values over the repeats, so that nobody is fast by searching badly; all with the constriction's
numbers and the best of all as informant. `--quick` takes 256 particles and 50 moves.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import harness
import numpy as np

DIMS, BOX = 100, (-5.12, 5.12)
PULLS = (0.7298, 1.49618, 1.49618)


def ours(kind: str, particles: int, moves: int) -> Callable[[], float]:
    import jax.numpy as jnp

    from shoal.swarm import ParticleSwarm

    swarm = ParticleSwarm(particles, BOX, random=kind)
    like, seeds = jnp.zeros(DIMS), iter(range(10_000))
    return lambda: swarm.minimise(rastrigin, like, iterations=moves, key=next(seeds)).value


def rastrigin(x):
    import jax.numpy as jnp

    return 10.0 * x.size + jnp.sum(x * x - 10.0 * jnp.cos(2 * jnp.pi * x))


def rastrigin_numpy(x: np.ndarray) -> np.ndarray:
    return 10.0 * x.shape[1] + (x * x - 10.0 * np.cos(2 * np.pi * x)).sum(axis=1)


def pyswarms(particles: int, moves: int) -> Callable[[], float]:
    from pyswarms.single import GlobalBestPSO

    walls = (np.full(DIMS, BOX[0]), np.full(DIMS, BOX[1]))
    options = dict(zip(("w", "c1", "c2"), PULLS, strict=True))

    def run() -> float:
        swarm = GlobalBestPSO(particles, DIMS, options, bounds=walls)
        return float(swarm.optimize(rastrigin_numpy, iters=moves, verbose=False)[0])

    return run


def evosax(particles: int, moves: int) -> Callable[[], float]:
    import jax
    import jax.numpy as jnp
    from evosax.algorithms import PSO

    swarm = PSO(population_size=particles, solution=jnp.zeros(DIMS))
    names = ("inertia_coeff", "cognitive_coeff", "social_coeff")
    own = swarm.default_params.replace(**dict(zip(names, PULLS, strict=True)))
    fitness = jax.vmap(rastrigin)

    @jax.jit
    def search(key):
        first, key = jax.random.split(key)
        x = jax.random.uniform(first, (particles, DIMS), minval=BOX[0], maxval=BOX[1])
        state = swarm.init(first, x, fitness(x), own)

        def step(state, key):
            one, two = jax.random.split(key)
            x, state = swarm.ask(one, state, own)
            x = jnp.clip(x, *BOX)
            state, _ = swarm.tell(two, x, fitness(x), state, own)
            return state, None

        return jax.lax.scan(step, state, jax.random.split(key, moves))[0].best_fitness

    seeds = iter(range(10_000))
    return lambda: float(search(jax.random.key(next(seeds))))


def contestants(particles: int, moves: int) -> dict[str, Callable[[], float]]:
    """Those whose package is here."""
    found = {f"shoal, {kind}": ours(kind, particles, moves) for kind in ("hash", "split", "full")}
    for name, make in {"PySwarms": pyswarms, "evosax": evosax}.items():
        try:
            found[name] = make(particles, moves)
        except ImportError as missing:
            print(f"{name}: left out, {missing}")
    return found


def compare(particles: int, moves: int, repeats: int) -> list[dict]:
    """Rows of the table."""
    best: dict[str, list[float]] = {}

    def noted(name: str, run: Callable[[], float]) -> Callable[[], None]:
        return lambda: best.setdefault(name, []).append(run())

    runs = {name: noted(name, run) for name, run in contestants(particles, moves).items()}
    seconds = harness.timed(runs, repeats)
    return [
        {
            "contestant": name,
            **harness.summary(own),
            "found": float(np.median(best[name])),
            **{
                f"times {peer}, {kind}": value
                for peer in ("PySwarms", "evosax")
                if peer in seconds and name.startswith("shoal")
                for kind, value in harness.ratio(seconds[peer], own).items()
            },
        }
        for name, own in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="256 particles, 50 moves, 3 repeats")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", default=None, help="default: benchmarks/results/")
    arguments = parser.parse_args()
    size = (256, 50, 3) if arguments.quick else (1024, 200, arguments.repeats)
    rows = compare(*size)
    print(harness.table(rows))
    print("written to", harness.save("swarm_rastrigin", rows, arguments.json))


if __name__ == "__main__":
    main()
