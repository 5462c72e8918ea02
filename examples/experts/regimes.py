"""A mixture of experts on a plane with six regimes: who handles what?

    python examples/experts/regimes.py [--seeds 3] [--steps 2000] [--out FOLDER]

Each regime is the neighbourhood of a centre and has a function of its own; nobody tells the model
where one ends. A mixture of six small experts, two per point, is compared with a dense network of
the same work per point and with one of the same number of weights. Prints a table and writes
`experts.png` and `experts.json`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.optimize import linear_sum_assignment

from shoal.collective import MixtureOfExperts
from shoal.collective.moe import MLP

REGIMES, HIDDEN, NOISE = 6, 16, 0.1
CHOSEN = 2
BALANCE = 1.0  # at 0.1 the error is a little smaller, but regimes are divided among experts


def regime(x: np.ndarray) -> np.ndarray:
    """The nearest of the centres on a ring, (points,)."""
    angles = 2 * np.pi * np.arange(REGIMES) / REGIMES
    centres = np.stack([np.cos(angles), np.sin(angles)], -1)
    return np.argmin(((x[:, None] - centres) ** 2).sum(-1), -1)


def truth(x: np.ndarray) -> np.ndarray:
    """Each regime's own wave: direction, frequency, phase and level."""
    rng = np.random.default_rng(7)
    directions = rng.normal(size=(REGIMES, 2))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    frequency, phase = rng.uniform(2, 4, REGIMES), rng.uniform(0, 6, REGIMES)
    level, r = rng.normal(size=REGIMES) * 2, regime(x)
    return level[r] + np.sin(frequency[r] * (x * directions[r]).sum(-1) + phase[r])


def draw(points: int, seed: int) -> tuple[jnp.ndarray, jnp.ndarray]:
    """Inputs (points, 3), the last a constant, and noisy targets (points, 1)."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (points, 2))
    y = truth(x) + NOISE * rng.normal(size=points)
    return features(x), jnp.asarray(y[:, None], jnp.float32)


def features(x: np.ndarray) -> jnp.ndarray:
    return jnp.asarray(np.concatenate([x, np.ones((len(x), 1))], -1), jnp.float32)


def mixture(seed: int):
    """Six experts, two per point; in training the router hears noise."""
    sizes = {"hidden_size": HIDDEN, "n_experts": REGIMES, "top_k": CHOSEN}
    return MixtureOfExperts(3, 1, **sizes, experts="mlp", aux_loss_weight=BALANCE, key=seed)


def dense(hidden: int):
    return lambda seed: MLP(3, hidden, 1, key=seed)


def answer(model, x, key=None):
    """The prediction, and what is added to its loss."""
    if isinstance(model, MixtureOfExperts):
        y, info = model(x, key=key)
        return y, info.aux_loss
    return model(x), 0.0


@eqx.filter_jit
def train(model, x, y, key, steps: int):
    """Adam on all points, the whole training in one program."""
    optimiser = optax.adam(optax.cosine_decay_schedule(1e-2, steps))
    params, static = eqx.partition(model, eqx.is_inexact_array)

    def step(carry, key):
        params, state = carry

        def loss(params):
            prediction, aux = answer(eqx.combine(params, static), x, key)
            return jnp.mean((prediction - y) ** 2) + aux

        updates, state = optimiser.update(jax.grad(loss)(params), state)
        return (eqx.apply_updates(params, updates), state), None

    (params, _), _ = jax.lax.scan(
        step, (params, optimiser.init(params)), jax.random.split(key, steps)
    )
    return eqx.combine(params, static)


def handlers(model, x: np.ndarray) -> np.ndarray:
    """Whose each point is, mostly; experts numbered as the regimes that they suit best."""
    expert = np.argmax(model(features(x))[1].gates, -1)
    table = np.zeros((REGIMES, REGIMES), int)
    np.add.at(table, (regime(x), expert), 1)
    regimes, experts = linear_sum_assignment(-table)
    return regimes[np.argsort(experts)][expert]


def agreement(model, x: np.ndarray) -> float:
    """Share of the points handled by their regime's expert, one expert for each regime."""
    return float(np.mean(handlers(model, x) == regime(x)))


def picture(model, path: Path) -> None:
    """Who handles what, beside the regimes and the answer."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    side = np.linspace(-2, 2, 200)
    x = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    y, _ = model(features(x))
    panels = {
        "regimes": (regime(x), "tab10", 9),
        "who handles what": (handlers(model, x), "tab10", 9),
        "truth": (truth(x), "viridis", None),
        "the mixture's answer": (np.asarray(y)[:, 0], "viridis", None),
    }
    figure, axes = plt.subplots(2, 2, figsize=(8, 8), layout="constrained")
    low, high = truth(x).min(), truth(x).max()
    for axis, (title, (values, colours, most)) in zip(axes.flat, panels.items(), strict=True):
        limits = {"vmin": 0, "vmax": most} if most else {"vmin": low, "vmax": high}
        axis.imshow(
            values.reshape(200, 200), origin="lower", extent=(-2, 2, -2, 2), cmap=colours, **limits
        )
        axis.set_title(title)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    models = {
        "mixture, 6 experts of 16": mixture,
        "dense, same work (32)": dense(HIDDEN * CHOSEN),
        "dense, same weights (96)": dense(HIDDEN * REGIMES),
    }
    x, y = draw(2048, 0)
    seen = np.random.default_rng(1).uniform(-2, 2, (5000, 2))
    rows: dict[str, list[float]] = {name: [] for name in models}
    agreements, best = [], None
    for name, make in models.items():
        for seed in range(arguments.seeds):
            model = train(make(seed), x, y, jax.random.key(seed), arguments.steps)
            error = np.asarray(answer(model, features(seen))[0])[:, 0] - truth(seen)
            rows[name].append(float(np.sqrt(np.mean(error**2))))
            if make is mixture:
                agreements.append(agreement(model, seen))
                best = best or model
    report(rows, agreements, best, seen, arguments.out)


def report(rows, agreements, model, seen, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    print("| model | RMSE against the truth, mean ± std over seeds |\n|---|---|")
    for name, errors in rows.items():
        print(f"| {name} | {np.mean(errors):.3f} ± {np.std(errors):.3f} |")
    statistics = model(features(seen))[1].statistics
    print(f"points whose expert is their regime's: {np.mean(agreements):.1%}")
    print("utilisation of seed 0:", [f"{share:.2f}" for share in statistics.utilisation])
    content = {"rmse": rows, "agreement": agreements}
    (out / "experts.json").write_text(json.dumps(content, indent=1) + "\n")
    picture(model, out / "experts.png")
    print("written to", out / "experts.png")


if __name__ == "__main__":
    main()
