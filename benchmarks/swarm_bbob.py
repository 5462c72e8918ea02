"""How much of BBOB is solved in 1000·d evaluations: our swarms beside others.

    python benchmarks/swarm_bbob.py [--quick] [--only NAME ...] [--seeds 1] [--json PATH]

24 noiseless functions, instances 1 to 3, 2, 5 and 10 dimensions, through `ioh`. A run's score is
the share of 51 targets (10² down to 10⁻⁸ above the optimum, evenly in the logarithm) that its best
value reaches; the figure is the mean over all runs, and over those of each dimension. Everything in
float64. The swarms are equations of one program: all 72 problems of a dimension fly side by side;
the peers run one after the other. `--quick` takes a tenth of the budget and one instance.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import harness
import numpy as np

FUNCTIONS, DIMS = range(1, 25), (2, 5, 10)
TARGETS = np.logspace(2, -8, 51)


def problems(dims: int, instances: int) -> list:
    """The problems of one dimension."""
    import ioh

    kind = ioh.ProblemClass.BBOB
    return [ioh.get_problem(f, i + 1, dims, kind) for f in FUNCTIONS for i in range(instances)]


def score(found: np.ndarray, asked: list) -> np.ndarray:
    """Of each problem, the share of targets that are reached."""
    above = found - np.array([problem.optimum.y for problem in asked])
    return (above[:, None] <= TARGETS).mean(axis=1)


def values(problem, rows: np.ndarray) -> np.ndarray:
    """Losses of some positions."""
    return np.asarray(problem(rows.tolist()), float)


def side_by_side(make: Callable) -> Callable:
    """All problems at once: `make(dims)` gives a swarm."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    def run(asked: list, budget: int, seed: int) -> np.ndarray:
        dims = asked[0].meta_data.n_variables
        swarm, like = make(dims), jnp.zeros(dims)
        keys = jax.random.split(jax.random.key(seed), len(asked))
        state = jax.vmap(lambda key: swarm.init(key, like))(keys)
        ask = eqx.filter_jit(eqx.filter_vmap(swarm.ask))
        tell = eqx.filter_jit(eqx.filter_vmap(swarm.tell))
        for _ in range(budget // swarm.n_particles):
            rows, state = ask(state)
            host = np.asarray(rows)
            state = tell(
                state, rows, np.stack([values(*pair) for pair in zip(asked, host, strict=True)])
            )
        return np.asarray(state.found_value)

    return run


def one_by_one(search: Callable) -> Callable:
    """`search(losses, dims, budget, seed)` calls `losses(rows)` until the budget is spent."""

    class Spent(Exception):
        pass

    def run(asked: list, budget: int, seed: int) -> np.ndarray:
        found = []
        for place, problem in enumerate(asked):
            seen = [np.inf, 0]

            def losses(rows, problem=problem, seen=seen):
                rows = np.atleast_2d(np.asarray(rows, float))
                got = values(problem, rows)
                allowed = got[: max(budget - seen[1], 0)]
                seen[0] = min([seen[0], *allowed.tolist()])
                seen[1] += len(got)
                if seen[1] >= budget:
                    raise Spent
                return got

            try:
                while seen[1] < budget:
                    search(losses, problem.meta_data.n_variables, budget - seen[1], seed + place)
            except (Spent, RuntimeError):
                if seen[1] < budget:
                    raise
            found.append(seen[0])
        return np.array(found)

    return run


def random_search(losses: Callable, dims: int, budget: int, seed: int) -> None:
    losses(np.random.default_rng(seed).uniform(-5, 5, (budget, dims)))


def ours_on_host(make: Callable) -> Callable:
    """A baseline of ours on the interface of the swarms; `make(budget)` gives it."""

    def search(losses: Callable, dims: int, budget: int, seed: int) -> None:
        import jax.numpy as jnp

        optimiser = make(budget)
        state = optimiser.init(seed, jnp.zeros(dims))
        while True:
            positions, state = optimiser.ask(state)
            state = optimiser.tell(state, positions, losses(positions))

    return search


def pyswarms(losses: Callable, dims: int, budget: int, seed: int) -> None:
    from pyswarms.single import GlobalBestPSO

    np.random.seed(seed)  # noqa: NPY002
    options = {"w": 0.7298, "c1": 1.49618, "c2": 1.49618}
    walls = (np.full(dims, -5.0), np.full(dims, 5.0))
    swarm = GlobalBestPSO(40, dims, options, bounds=walls)
    swarm.optimize(losses, iters=budget // 40 + 1, verbose=False)


def evosax(losses: Callable, dims: int, budget: int, seed: int) -> None:
    import jax
    import jax.numpy as jnp
    from evosax.algorithms import PSO

    if dims not in _EVOSAX:
        swarm = PSO(population_size=40, solution=jnp.zeros(dims))
        own = swarm.default_params
        asked = jax.jit(lambda key, state: swarm.ask(key, state, own))
        told = jax.jit(lambda key, x, f, state: swarm.tell(key, x, f, state, own)[0])
        _EVOSAX[dims] = swarm, own, asked, told
    swarm, own, asked, told = _EVOSAX[dims]
    key = jax.random.key(seed)
    x = jax.random.uniform(key, (40, dims), minval=-5.0, maxval=5.0)
    state = swarm.init(key, x, jnp.asarray(losses(x)), own)
    while True:
        key, one, two = jax.random.split(key, 3)
        x, state = asked(one, state)
        x = jnp.clip(x, -5.0, 5.0)
        state = told(two, x, jnp.asarray(losses(x)), state)


_EVOSAX: dict = {}


def contestants() -> dict[str, Callable]:
    """Name and `run(problems, budget, seed)`; those whose package is missing are left out."""
    from shoal.swarm import CMAES, DifferentialEvolution, ParticleSwarm

    box = (-5.0, 5.0)
    swarms = {
        "shoal, 40 particles, coordinates": {"n_particles": 40, "axes": "coordinates"},
        "shoal, 40 particles": {"n_particles": 40},
        "shoal, coordinates": {"axes": "coordinates"},
        "shoal, default": {},
        "shoal, 20 particles": {"n_particles": 20},
        "shoal, ring": {"neighbourhood": "ring"},
    }
    found = {
        name: side_by_side(lambda dims, own=own: ParticleSwarm(bounds=box, **own))
        for name, own in swarms.items()
    }
    found["CMA-ES with restarts (cmaes)"] = one_by_one(ours_on_host(lambda b: CMAES(bounds=box)))
    found["L-SHADE (minionpy)"] = one_by_one(
        ours_on_host(lambda budget: DifferentialEvolution(budget, bounds=box))
    )
    found["PySwarms, 40"] = one_by_one(pyswarms)
    found["evosax, 40"] = one_by_one(evosax)
    found["random search"] = one_by_one(random_search)
    return found


def compare(names: list[str], seeds: int, quick: bool, functions: bool) -> list[dict]:
    """Rows of the table."""
    runs, rows = contestants(), []
    for name in names or runs:
        try:
            rows.append({"optimiser": name, **_shares(runs[name], seeds, quick, functions)})
            print(rows[-1], flush=True)
        except ImportError as missing:
            print(f"{name}: left out, {missing}")
    return rows


def _shares(run: Callable, seeds: int, quick: bool, functions: bool) -> dict[str, float]:
    start, shares = time.perf_counter(), []
    for dims in DIMS:
        budget = dims * (100 if quick else 1000)
        asked = problems(dims, 1 if quick else 3)
        got = np.mean([score(run(asked, budget, seed), asked) for seed in range(seeds)], axis=0)
        shares.append(got.reshape(len(FUNCTIONS), -1).mean(axis=1))
    table = np.array(shares)  # dims, functions
    own = {f"d {d}": float(share) for d, share in zip(DIMS, table.mean(1), strict=True)}
    each = {f"f{f}": float(share) for f, share in zip(FUNCTIONS, table.mean(0), strict=True)}
    seconds = {"seconds": time.perf_counter() - start}
    return {"targets reached": float(table.mean()), **own, **(each if functions else {}), **seconds}


def main() -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the budget, one instance")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--by-function", action="store_true", help="a column for each function")
    parser.add_argument("--json", default=None, help="default: benchmarks/results/")
    arguments = parser.parse_args()
    rows = compare(arguments.only, arguments.seeds, arguments.quick, arguments.by_function)
    print(harness.table(rows))
    if not arguments.only:
        print("written to", harness.save("swarm_bbob", rows, arguments.json))


if __name__ == "__main__":
    main()
