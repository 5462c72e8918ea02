"""Out-of-fold predictions: what members say of training rows that they were trained without.

Every member is trained once more for every fold, from where it began, on the rows of that fold.
Folds × members are one population: its members differ in how much each row counts for them, 0 or
1, so that all of them train side by side in the one program of `shoal.fit`. Regimes that tie
members together, or train them in stages, train one fold after the other, since members of
different folds must know nothing of each other.

Source: Wolpert, "Stacked generalization", Neural Networks 5, 1992.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from shoal.collective.batches import in_batches
from shoal.data.asking import Inputs, checked, decoded
from shoal.data.folds import Fold, make_folds
from shoal.equations.outputs import Categorical, Normal
from shoal.population import Checkpoint, Fitted, Population, fit
from shoal.population.regimes.plan import Plan
from shoal.population.regimes.registry import resolve
from shoal.population.samples import Samples, as_samples
from shoal.weighting.evidence import Evidence, known_of, row_losses

_PER_MEMBER = ("learning_rate", "weight_decay", "dropout")


@dataclass(frozen=True)
class OutOfFold:
    """What weightings may learn from, all of it said by members that were trained without it.

    Attributes:
        evidence: of the rows that were asked about; its losses are the members' means over them,
            NaN of a member that diverged in some fold.
        rows: their numbers among the training rows.
        folds: what was trained on, and what was asked about.
        diverged: (member, fold) of those that never had a finite loss; what they say is NaN.
        interrupted: whether the training was ended before its time.
    """

    evidence: Evidence
    rows: np.ndarray
    folds: tuple[Fold, ...]
    diverged: tuple[tuple[int, int], ...] = ()
    interrupted: bool = False

    @property
    def usable(self) -> list[int]:
        """The members that diverged in no fold."""
        gone = {member for member, _ in self.diverged}
        return [member for member in range(len(self.evidence.losses)) if member not in gone]

    def select(self, indices: Sequence[int]) -> OutOfFold:
        """The same of some members."""
        kept, places = list(indices), {old: new for new, old in enumerate(indices)}
        said = _each(lambda part: part[kept], self.evidence.predictions)
        evidence = self.evidence._replace(losses=self.evidence.losses[kept], predictions=said)
        gone = tuple((places[m], fold) for m, fold in self.diverged if m in places)
        return replace(self, evidence=evidence, diverged=gone)


def out_of_fold(
    population: Population,
    train: Any,
    valid: Any = None,
    *,
    folds: Any = 5,
    order: str | None = None,
    gap: float = 0.0,
    seed: int = 0,
    scaling: Any = None,
    **options: Any,
) -> OutOfFold:
    """Trains every member on every fold, and asks it about the rows it has not seen.

    Args:
        population: the members as they begin, as `shoal.fit` takes them.
        train: the training rows; with a `scaling` raw, as `shoal.data.Sequences`.
        valid: of `shoal.fit`: chooses each member's best epoch; no row of `train`.
        folds, order, gap, seed: of `shoal.data.folds.make_folds`.
        scaling: of the collective; predictions and truths are then in the targets' own units. It
            is one for all folds: its centre and spread are those of all training rows.
        options: of `shoal.fit`, the same as of the members that will be weighted. None is stopped
            for being behind the others, since folds are not equally hard.

    Raises:
        ValueError: folds that leak, or a regime that brings its own weights.

    >>> import jax, equinox as eqx
    >>> class Line(eqx.Module):
    ...     w: jax.Array
    ...
    ...     def __call__(self, x, timespans=None, *, mask=None, key=None):
    ...         return x @ self.w
    >>> crowd = Population.init(lambda key: Line(jax.random.normal(key, (2, 1))), n_models=3)
    >>> x = np.ones((8, 2), np.float32)
    >>> found = out_of_fold(crowd, (x, x[:, :1]), folds=2, epochs=1)
    >>> found.evidence.predictions.shape
    (3, 8, 1)
    """
    raw = as_samples(train, "train") if scaling is None else train
    cut = make_folds(train if hasattr(train, "x") else raw, folds, order=order, gap=gap, seed=seed)
    encode = as_samples if scaling is None else lambda rows, _: scaling.encode_sequences(rows)
    rows = as_samples(encode(train, "train"), "train")
    valid = None if valid is None else encode(valid, "valid")
    regime = resolve(options.pop("regime", "independent"))
    options = options | {"stopping": None}
    plan = regime.plan(len(population), population.seeds, rows, None)
    if regime.kind in ("gradient_boosting", "adaboost"):
        raise ValueError(
            f"the regime {regime.kind!r} brings its own weights, so there is nothing to stack"
        )
    together = plan.coupling is None and plan.stages is None
    train_folds = _side_by_side if together else _in_turn
    fitted = train_folds(population, rows, valid, cut, regime, options)
    asked = checked(train if hasattr(train, "x") else raw, gaps=scaling is not None)
    said = [
        _answers(one, rows, asked, scaling, fold.test)
        for one, fold in zip(fitted, cut, strict=True)
    ]
    return _gathered(fitted, said, cut, raw)


@dataclass(frozen=True)
class _OnFolds:
    """A regime whose members each learn from the rows of a fold; fold after fold, all members."""

    inner: Any
    digest: str
    kind: str
    counts: Any = None

    def plan(
        self, n_models: int, seeds: Sequence[int], train: Samples, valid: Samples | None
    ) -> Plan:
        plan = self.inner.plan(n_models, seeds, train, valid)
        counts = np.repeat(self.counts, n_models // len(self.counts), axis=0)
        own = counts if plan.row_weights is None else counts * plan.row_weights
        return replace(plan, row_weights=own)

    def __repr__(self) -> str:
        return f"{self.inner!r} on folds {self.digest}"


def _side_by_side(
    population: Population, rows: Samples, valid: Any, folds, regime, options
) -> list[Fitted]:
    """All folds in one program: a copy of the members for each, told apart by what rows count."""
    n, k = len(population), len(folds)
    counts = np.zeros((k, rows.count), np.float32)
    for own, fold in zip(counts, folds, strict=True):
        own[fold.train] = 1.0
    digest = hashlib.sha256(counts.tobytes()).hexdigest()[:16]
    copies = population.select(list(range(n)) * k)
    for name in _PER_MEMBER:
        if np.ndim(options.get(name)) == 1:
            options = options | {name: np.tile(options[name], k)}
    rule = _OnFolds(regime, digest, regime.kind, counts)
    fitted = fit(copies, rows, valid, regime=rule, **options)
    return [_part(fitted, range(n * fold, n * (fold + 1))) for fold in range(k)]


def _in_turn(
    population: Population, rows: Samples, valid: Any, folds, regime, options
) -> list[Fitted]:
    """One fold after the other, each with its rows alone."""
    found = []
    for number, fold in enumerate(folds):
        own = jax.tree.map(lambda part, fold=fold: part[fold.train], rows)
        place = {"checkpoint": _inside(options.get("checkpoint"), f"fold-{number}")}
        found.append(fit(population, own, valid, regime=regime, **options | place))
        if found[-1].interrupted:
            found += [found[-1]] * (len(folds) - len(found))
            break
    return found


def _part(fitted: Fitted, members: range) -> Fitted:
    """What training left of some of the members."""
    status = [fitted.status[i] | {"index": place} for place, i in enumerate(members)]
    population = fitted.population.select(members)
    return replace(fitted, population=population, last=population, status=status)


def _inside(checkpoint: Any, name: str) -> Any:
    """A checkpoint's folder within another's."""
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = Checkpoint(checkpoint)
    return replace(checkpoint, path=Path(checkpoint.path) / name)


def _answers(fitted: Fitted, rows: Samples, asked: Inputs, scaling: Any, test: np.ndarray) -> Any:
    """What the members of a fold say of the rows it is asked about, in the targets' units."""
    inputs, raw = (
        Inputs(own.x[test], *(_taken(part, test) for part in (own.timespans, own.mask)))
        for own in (rows, asked)
    )
    outputs = in_batches(lambda a: fitted.population(a.x, a.timespans, mask=a.mask), inputs)
    outputs = decoded(outputs, scaling, raw)
    usable = np.isin(np.arange(len(fitted.status)), fitted.usable)
    return _each(lambda part: np.where(_beside(usable, part), part, np.nan), outputs)


def _gathered(fitted: Sequence[Fitted], said: list, folds: tuple[Fold, ...], raw: Any) -> OutOfFold:
    """The folds' answers as one, in the order of the rows."""
    rows = np.concatenate([fold.test for fold in folds])
    order = np.argsort(rows)
    predictions = _each(lambda *parts: np.concatenate(parts, axis=1)[:, order], *said)
    rows = rows[order]
    names = ("y", "y_mask", "x", "timespans", "mask")
    parts: dict[str, Any] = {name: getattr(raw, name) for name in names}
    parts = {name: _taken(part, rows) for name, part in parts.items()}
    y, known = known_of(parts["y"], parts["y_mask"])
    losses = row_losses(predictions, y, known).mean(1)
    diverged = [
        (status["index"], number)
        for number, one in enumerate(fitted)
        for status in one.status
        if not status["usable"]
    ]
    interrupted = any(one.interrupted for one in fitted)
    return OutOfFold(
        Evidence(losses, predictions, **parts), rows, folds, tuple(diverged), interrupted
    )


def _taken(part: Any, rows: np.ndarray) -> Any:
    return None if part is None else np.asarray(part)[rows]


def _each(function: Any, *answers: Any) -> Any:
    if isinstance(answers[0], Normal | Categorical):
        return type(answers[0])(*(function(*parts) for parts in zip(*answers, strict=True)))
    return function(*answers)


def _beside(flags: np.ndarray, array: np.ndarray) -> np.ndarray:
    return flags.reshape(-1, *[1] * (array.ndim - 1))
