"""A loss with many valleys, with gradients: the hybrid beside gradient descent and the swarm alone.

    python benchmarks/swarm_valleys.py [--quick] [--searches 40] [--json PATH]

Two sine waves in noise are to be found by size, speed and phase: six numbers, a smooth loss,
and a valley for every pair of speeds that is nearly right. All have 6000 evaluations, a gradient
counting as two more beside the loss that comes with it. "found" is how many of the searches reached
a misfit below 0.02 (the noise is 0.01). Adam is given from one to 40 random starts, which share the
budget, and four learning rates each, of which the best is shown. `--quick` makes 4 searches.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import harness
import numpy as np

BUDGET, FOUND = 6000, 0.02
LOW = {"phase": -3.2, "size": 0.0, "speed": 0.0}
HIGH = {"phase": 3.2, "size": 2.0, "speed": 8.0}
STARTS, RATES = (1, 4, 20, 40), (0.01, 0.03, 0.1, 0.2)


def data() -> tuple[np.ndarray, np.ndarray]:
    """Times, and what is measured then."""
    times = np.linspace(0, 10, 200).astype(np.float32)
    noise = 0.1 * np.random.default_rng(0).normal(size=200)
    waves = np.sin(2.3 * times + 0.4) + 0.7 * np.sin(5.1 * times + 1.0)
    return times, (waves + noise).astype(np.float32)


def misfit(waves, times, measured):
    """Mean squared distance of two waves from what was measured."""
    import jax.numpy as jnp

    each = waves["size"] * jnp.sin(waves["speed"] * times[:, None] + waves["phase"])
    return jnp.mean((each.sum(1) - measured) ** 2)


def swarms() -> dict[str, Callable[[int], float]]:
    """`search(seed)` of each of ours."""
    import jax.numpy as jnp

    from shoal.swarm import CMAES, HybridSwarm, ParticleSwarm

    like, args = dict.fromkeys(LOW, jnp.zeros(2)), tuple(jnp.asarray(a) for a in data())
    own = {
        "hybrid": HybridSwarm(bounds=(LOW, HIGH)),
        "hybrid, 20 particles": HybridSwarm(20, bounds=(LOW, HIGH)),
        "particle swarm": ParticleSwarm(bounds=(LOW, HIGH)),
        "CMA-ES with restarts": CMAES(bounds=(LOW, HIGH)),
    }

    def search(swarm, seed: int) -> float:
        return swarm.minimise(misfit, like, evaluations=BUDGET, args=args, key=seed).value

    return {name: lambda seed, s=swarm: search(s, seed) for name, swarm in own.items()}


def adam(starts: int, rate: float) -> Callable[[int], float]:
    """Gradient descent from several places at once."""
    import jax
    import jax.numpy as jnp
    import optax

    args = tuple(jnp.asarray(a) for a in data())
    low, high = (jnp.repeat(jnp.array([*ends.values()]), 2) for ends in (LOW, HIGH))
    slopes = jax.vmap(
        jax.value_and_grad(lambda z: misfit(dict(zip(LOW, z.reshape(3, 2), strict=True)), *args))
    )
    optimiser = optax.adam(rate)

    @jax.jit
    def search(seed):
        z = low + jax.random.uniform(jax.random.key(seed), (starts, 6)) * (high - low)

        def step(carry, _):
            z, state = carry
            values, gradients = slopes(z)
            moves, state = optimiser.update(gradients, state)
            return (z + moves, state), values.min()

        return jax.lax.scan(step, (z, optimiser.init(z)), None, length=BUDGET // 3 // starts)[1]

    return lambda seed: float(search(seed).min())


def compare(searches: int) -> list[dict]:
    """Rows of the table."""
    rows = [_row(name, [run(s) for s in range(searches)]) for name, run in swarms().items()]
    for starts in STARTS:
        tried = {rate: adam(starts, rate) for rate in RATES}
        found = {rate: [run(s) for s in range(searches)] for rate, run in tried.items()}
        best = max(found, key=lambda rate: np.mean(np.array(found[rate]) < FOUND))
        name = f"Adam, {starts} start{'s' * (starts > 1)}, rate {best:g}"
        rows.append(_row(name, found[best]))
    return rows


def _row(name: str, values: list[float]) -> dict:
    found = int((np.array(values) < FOUND).sum())
    return {
        "search": name,
        "found": f"{found} of {len(values)}",
        "median": float(np.median(values)),
        "worst": max(values),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4 searches")
    parser.add_argument("--searches", type=int, default=40)
    parser.add_argument("--json", default=None, help="default: benchmarks/results/")
    arguments = parser.parse_args()
    rows = compare(4 if arguments.quick else arguments.searches)
    print(harness.table(rows))
    print("written to", harness.save("swarm_valleys", rows, arguments.json))


if __name__ == "__main__":
    main()
