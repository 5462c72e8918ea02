"""What a crowd is worth: single members, weightings and regimes on five real data sets.

For every data set and split: eight members that differ in their seeds and eight of four kinds train
once, and every weighting is fitted to their predictions of validation rows; then the eight alike
are trained by every regime. Scores are of test rows, in the targets' units.

    python examples/crowds/study.py [--splits 2] [--only diabetes ...] [--parts regimes ...]

Writes results.json and tables.md beside this file. Needs scikit-learn and statsmodels.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from members import N_MODELS, makes
from problems import PROBLEMS, Block, Split
from tables import document

import shoal
from shoal.equations.conformal import fit_calibration
from shoal.equations.outputs import Categorical, Normal
from shoal.score import evaluate
from shoal.weighting import Evidence, combined, resolve

HERE = Path(__file__).parent
SERIES = ("co2",)
RULES: dict[str, Any] = {
    "uniform": "uniform",
    "inverse_loss": "inverse_loss",
    "softmax_loss": {"kind": "softmax_loss", "temperature": 0.1},
    "learned": "learned",
    "stacking": "stacking",
    "stacking, linear": {"kind": "stacking", "meta": "linear"},
    "greedy": "greedy",
    "pruned": "pruned",
    "local": "local",
    "confidence": "confidence",
}
CLASS_RULES = {"hard_vote": "hard_vote"}
SERIES_RULES = {"time_table": {"kind": "time_table", "edges": [4.0, 10.0]}}
SERIES_RULES |= {"time_curve": "time_curve"}
REGIMES = ("joint", "negative_correlation", "correlation", "bagging", "snapshot", "adaboost")
REGIMES += ("gradient_boosting",)
ASKED = ("valid", "calibration", "test")
SHARINGS = ("tabm", "batch_ensemble")
PARTS = ("weightings", "regimes", "shared")
STAGED = ("snapshot", "adaboost", "gradient_boosting")  # members one after the other
CLASS_SCORES = {"accuracy": "accuracy", "nll": "log_loss", "brier": "brier", "ece": "ece"}
SPLITS = {name: 6 if name in SERIES else 10 for name in PROBLEMS}
EPOCHS = {"diabetes": 60, "star98": 60, "breast_cancer": 40, "digits": 40, "co2": 40}


Found = tuple[str, dict[str, Any]]


class Answers(NamedTuple):
    """What the members of one crowd said to each block, and each one's validation loss."""

    outputs: dict[str, Any]
    losses: np.ndarray


def run(
    name: str, splits: int, epochs: int | None = None, parts: Sequence[str] = PARTS
) -> dict[str, dict[str, list]]:
    """Scores of every method, one number per split: {"alike: uniform": {"rmse": [...]}}."""
    epochs = epochs or EPOCHS[name]
    found: dict[str, dict[str, list]] = {}
    starts = {}
    for seed in range(splits):
        split = PROBLEMS[name](seed)
        made = [ALL_PARTS[part](name, split, seed, splits, epochs, starts) for part in parts]
        for method, scores in chain(*made):
            for score, value in scores.items():
                kept = None if value is None else float(f"{value:.6g}")
                found.setdefault(method, {}).setdefault(score, []).append(kept)
    return found


def of_weightings(
    name: str, split: Split, seed: int, splits: int, epochs: int, starts: dict
) -> Iterator[Found]:
    """Members alike and unlike, counted in every way."""
    for crowd in ("alike", "unlike"):
        start = _start(starts, split, crowd, None, seed, splits)
        answers = train(start, split, epochs)[0]
        for method, rule in weightings(name, answers, split).items():
            yield f"{crowd}: {method}", judged(rule, answers, split)
        yield f"{crowd}: single", single(answers, split)


def of_regimes(
    name: str, split: Split, seed: int, splits: int, epochs: int, starts: dict
) -> Iterator[Found]:
    """Members alike, trained in every way."""
    for regime in () if name in SERIES else REGIMES:
        numbers = regime == "gradient_boosting" and split.blocks["train"].y.dtype.kind == "f"
        start = _start(starts, split, "alike", "point" if numbers else None, seed, splits)
        answers, rule = train(start, split, epochs, regime)
        yield f"regime: {regime}", judged(rule, answers, split)


def of_shared(
    name: str, split: Split, seed: int, splits: int, epochs: int, starts: dict
) -> Iterator[Found]:
    """Members alike that have their matrices in common."""
    for sharing in () if name in SERIES else SHARINGS:
        made, seeds = makes(split, "alike"), 42 + N_MODELS * seed
        start = shoal.Population.init(made, N_MODELS, seeds, sharing=sharing)
        yield f"shared: {sharing}", judged(*reversed(train(start, split, epochs)), split)


def _start(
    starts: dict, split: Split, crowd: str, likelihood: str | None, seed: int, splits: int
) -> shoal.Population:
    """The members that a split starts from: those of all splits are made at once."""
    if (crowd, likelihood) not in starts:
        made = makes(split, crowd, likelihood)
        starts[crowd, likelihood] = shoal.Population.init(made, N_MODELS * splits)
    return starts[crowd, likelihood].select(range(N_MODELS * seed, N_MODELS * (seed + 1)))


def train(
    start: shoal.Population, split: Split, epochs: int, regime: str = "independent"
) -> tuple[Answers, Any]:
    """The answers of the trained members, and the rule that the regime asks for."""
    blocks = split.blocks
    if regime == "snapshot":  # epochs of one cycle
        epochs = max(1, epochs // 4)
    fitted = shoal.fit(
        start,
        blocks["train"],
        blocks["valid"],
        epochs=epochs,
        learning_rate=3e-3,
        schedule="cosine",
        batch_size=32,
        stopping=None,
        regime=regime,
        strategy="loop" if regime in STAGED else "auto",
    )
    outputs = _asked(fitted.population, [blocks[name] for name in ASKED])
    losses = np.array([status["best_loss"] for status in fitted.status], float)
    return Answers(outputs, losses), resolve(fitted.weighting or "uniform")


def _asked(population: shoal.Population, blocks: list[Block]) -> dict[str, Any]:
    """What all members say to each block, asked once."""
    x = np.concatenate([block.x for block in blocks])
    series = blocks[0].timespans is not None
    outputs = population(x, np.concatenate([b.timespans for b in blocks]) if series else None)
    ends = np.cumsum([len(block.x) for block in blocks])[:-1]
    parts = jax.tree.map(lambda a: np.split(np.asarray(a, float), ends, axis=1), outputs)
    picked = [jax.tree.map(lambda a, i=i: a[i], parts, is_leaf=_is_list) for i in range(len(ASKED))]
    return dict(zip(ASKED, picked, strict=True))


def _is_list(node: Any) -> bool:
    return isinstance(node, list)


def weightings(name: str, answers: Answers, split: Split) -> dict[str, Any]:
    """Every rule, fitted to the validation rows."""
    valid, said = split.blocks["valid"], answers.outputs["valid"]
    classes = isinstance(said, Categorical)
    rules = {m: r for m, r in RULES.items() if not (classes and m == "stacking, linear")}
    rules |= (CLASS_RULES if classes else {}) | (SERIES_RULES if name in SERIES else {})
    evidence = Evidence(answers.losses, said, valid.y, x=valid.x, timespans=valid.timespans)
    best = np.eye(N_MODELS)[np.nanargmin(answers.losses)]
    fitted: dict[str, Any] = {"best": resolve({"kind": "fixed", "weights": best.tolist()})}
    for method, rule in rules.items():
        own = evidence
        if method == "inverse_loss" and isinstance(said, Normal):  # likelihoods may be negative
            own = evidence._replace(losses=((said.mean - valid.y) ** 2).mean((1, 2)))
        fitted[method] = resolve(rule).fit(own)
    return fitted


def judged(rule: Any, answers: Answers, split: Split) -> dict[str, float]:
    """Scores of a crowd on the test rows."""
    test, held = (
        combined(rule, answers.outputs[name], split.blocks[name])
        for name in ("test", "calibration")
    )
    y = split.blocks["test"].y
    if isinstance(test.outputs, Categorical):
        overall = evaluate(test, y)["overall"]
        return {name: overall[source] for name, source in CLASS_SCORES.items()}
    known = split.blocks["calibration"].y
    calibration = fit_calibration(held.mean, held.std, known, None, "auto")
    lower, upper = replace(test, calibration=calibration).interval(0.9)
    inside = float(((lower <= y) & (y <= upper)).mean())
    return _in_units(evaluate(test, y, levels=(0.9,))["overall"], split) | {"conformal": inside}


def single(answers: Answers, split: Split) -> dict[str, float]:
    """The mean score of the members, each alone: what a single training brings on average."""
    each = [
        judged(resolve({"kind": "fixed", "weights": row.tolist()}), answers, split)
        for row in np.eye(N_MODELS)
    ]
    return {name: float(np.mean([scores[name] for scores in each])) for name in each[0]}


def _in_units(overall: dict[str, Any], split: Split) -> dict[str, Any]:
    """Scores of scaled targets, told in the targets' own units; None for parts without spread."""
    nll = overall.get("nll")
    return {
        "rmse": overall["rmse"] * split.spread,
        "nll": None if nll is None else nll + float(np.log(split.spread)),
        "crps": overall["crps"] * split.spread,
        "coverage": overall["coverage"].get("0.9"),
    }


ALL_PARTS = dict(zip(PARTS, (of_weightings, of_regimes, of_shared), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, help="10 of a table, 6 of a series by default")
    parser.add_argument("--only", nargs="*", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    results = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for name in arguments.only:
        start = time.monotonic()
        splits = arguments.splits or SPLITS[name]
        results[name] = results.get(name, {}) | run(name, splits, None, arguments.parts)
        print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    arguments.out.with_name("tables.md").write_text(document(results))


if __name__ == "__main__":
    main()
