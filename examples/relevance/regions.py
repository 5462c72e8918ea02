"""Which part of a digit gave it away? Experts with names, one per region, asked two at a time.

Nine experts each see one region of scikit-learn's 8 × 8 digits, three by three overlapping windows
of 4 × 4, and learn for themselves what it tells about the digit. Then they are left as they are,
and a router that sees the whole picture learns which two matter. What these contribute adds up to
the probability of the answer.

The order matters. Trained together, router and experts may agree on a code: the router recognises
the digit and picks an expert that says so whatever it sees, and relevance explains nothing.

Whether the named regions really carry the answer is put to the test: the picture is blanked
outside of the chosen regions (the answer should stay), or inside of them (it should go), against
regions chosen for another picture, and by chance. A fresh classifier that never saw the router,
trained on pictures with regions blanked at random, judges.

    python examples/relevance/regions.py [--seeds 5] [--out examples/relevance/results.json]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import shoal
from shoal.collective import RelevanceScorer, VotingLayer
from shoal.collective.relevance import combine
from shoal.equations.outputs import Categorical
from shoal.neurons.frozen import Frozen

ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
NAMES = [f"{row} {column}" for row in ROWS for column in COLUMNS]


def windows() -> np.ndarray:
    """(9, 64): 1 where a region sees, windows of 4 × 4 that begin at 0, 2 and 4.

    >>> windows().shape, windows().sum(1).tolist() == [16.0] * 9
    ((9, 64), True)
    """
    seen = np.zeros((9, 8, 8))
    for i, (row, column) in enumerate((r, c) for r in (0, 2, 4) for c in (0, 2, 4)):
        seen[i, row : row + 4, column : column + 4] = 1
    return seen.reshape(9, 64)


class Split(NamedTuple):
    """x (rows, 64) in [0, 1], y (rows,)."""

    x: np.ndarray
    y: np.ndarray


def data(seed: int) -> dict[str, Split]:
    """The digits, 60/20/20."""
    digits, rng = load_digits(), np.random.default_rng(seed)
    order = rng.permutation(len(digits.target))
    x, y = (digits.data[order] / 16).astype(np.float32), digits.target[order].astype(np.int32)
    a, b = int(0.6 * len(y)), int(0.8 * len(y))
    parts = {"train": slice(a), "valid": slice(a, b), "test": slice(b, None)}
    return {name: Split(x[part], y[part]) for name, part in parts.items()}


class Expert(eqx.Module):
    """A small network that sees one region, and nothing else."""

    mlp: eqx.nn.MLP
    window: Frozen

    def __init__(self, window: Any, key: jax.Array):
        self.mlp, self.window = eqx.nn.MLP(64, 10, 32, 1, key=key), Frozen(window)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return Categorical(jax.vmap(self.mlp)(x * self.window.value))


class Router(eqx.Module):
    """A small network that sees the whole picture and scores the experts."""

    mlp: eqx.nn.MLP

    def __init__(self, key: jax.Array):
        self.mlp = eqx.nn.MLP(64, len(NAMES), 32, 1, key=key)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return jax.vmap(self.mlp)(x)


class Settled(eqx.Module):
    """An expert that has finished learning: no gradient reaches it."""

    expert: Expert

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return jax.lax.stop_gradient(self.expert(x))


def fit(start: shoal.Population, splits: dict[str, Split], epochs: int) -> shoal.Population:
    """Each member at the best of its epochs by validation loss."""
    options = {"batch_size": 64, "learning_rate": 3e-3, "stopping": None, "strategy": "vmap"}
    return shoal.fit(start, splits["train"], splits["valid"], epochs=epochs, **options).population


def train_experts(splits: dict[str, Split], seed: int, epochs: int = 40) -> shoal.Population:
    """Every expert for itself."""
    makes = [lambda key, w=w: Expert(w.astype(np.float32), key) for w in windows()]
    fitted = fit(shoal.Population.init(makes, 9, base_seed=100 * seed), splits, epochs)
    return shoal.Population.of([Settled(fitted[i]) for i in range(9)])


def train_scorer(
    experts: shoal.Population, splits: dict[str, Split], seed: int, epochs: int = 40
) -> RelevanceScorer:
    """The router on top of settled experts."""

    def make(key):
        return RelevanceScorer(experts, top_k=2, names=NAMES, router=Router(key))

    return fit(shoal.Population.init(make, 1, base_seed=seed), splits, epochs)[0]


def accuracy(model: Any, split: Split) -> float:
    """The share of right answers."""
    return float(np.mean(np.asarray(model(split.x).logits.argmax(-1)) == split.y))


def judge(splits: dict[str, Split], rng: np.random.Generator) -> LogisticRegression:
    """A classifier of pictures with any two regions, or all but any two, to be seen."""
    x, y = (np.concatenate([part] * 6) for part in splits["train"])
    pick = rng.random((len(x), 9)).argsort(1)[:, :2]
    seen = windows()[pick].max(1)
    seen = np.where(np.arange(len(x))[:, None] % 2, seen, 1 - seen)
    return LogisticRegression(max_iter=300).fit(x * seen, y)


def faithful(model: RelevanceScorer, splits: dict[str, Split], seed: int) -> dict[str, float]:
    """The judge's accuracy with the chosen regions alone, and without them; and with others."""
    rng, (x, y) = np.random.default_rng(seed), splits["test"]
    judging = judge(splits, rng)
    chosen = np.asarray(model.score(x).relevance.T > 0)
    by_chance = rng.random(chosen.shape).argsort(1) < 2
    seen = {
        "chosen": (chosen[..., None] * windows()).max(1),
        "chosen for another": (rng.permutation(chosen)[..., None] * windows()).max(1),
        "by chance": (by_chance[..., None] * windows()).max(1),
    }
    found = {}
    for name, where in seen.items():
        found[f"only {name}"] = float(judging.score(x * where, y))
        found[f"without {name}"] = float(judging.score(x * (1 - where), y))
    return found


def swapped(model: RelevanceScorer, test: Split, seed: int) -> float:
    """The accuracy where each picture is answered by the experts chosen for another one."""
    scored, other = model.score(test.x), np.random.default_rng(seed).permutation(len(test.x))
    mixed = combine(model.experts(test.x), scored.relevance[:, other], scored.logits)
    return float(np.mean(np.asarray(mixed.output.argmax(-1)) == test.y))


def run(seed: int) -> tuple[dict[str, float], RelevanceScorer, dict[str, Split]]:
    """Test accuracies of one seed, the scorer, the data."""
    splits = data(seed)
    experts, test = train_experts(splits, seed), splits["test"]
    model = train_scorer(experts, splits, seed)
    found = {
        "best expert alone": max(accuracy(experts.member(i), test) for i in range(9)),
        "soft vote of all 9": accuracy(VotingLayer(experts), test),
        "confidence vote of all 9": accuracy(VotingLayer(experts, "confidence"), test),
        "relevance, 2 of 9": accuracy(model, test),
        "another picture's relevance": swapped(model, test, seed),
    }
    return found | faithful(model, splits, seed), model, splits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    start, runs = time.monotonic(), []
    for seed in range(arguments.seeds):
        found, model, splits = run(seed)
        runs.append(found)
        print(seed, {k: round(v, 3) for k, v in found.items()}, flush=True)
        if seed == 0:
            print(model.explain(splits["test"].x[:3]).round(3).to_string(index=False))
            print(model.profile(splits["test"].x).round(3).to_string(index=False))
    for name in runs[0] if len(runs) > 1 else ():
        values = 100 * np.array([r[name] for r in runs])
        print(f"{name:28s} {values.mean():5.1f} ± {values.std(ddof=1):.1f} %")
    print(f"{time.monotonic() - start:.0f} s")
    if arguments.out:
        arguments.out.write_text(json.dumps(runs, indent=1))


if __name__ == "__main__":
    main()
