"""The figures that trials are compared by, of rows that their members were not trained on.

    loss           of the best epoch on the validation rows, the mean over the trial's members
    rmse … ece     the scores of `shoal.score`, of all members' equally weighted answer
    parameters     how many numbers one member learns
    a function     `metric(prediction, y, y_mask) -> number`, named `module:function` in YAML

With cross-validation every row is answered by the copy of the member that was trained without it,
and `loss` is the squared error, log-likelihood or cross-entropy of those answers, in the targets'
own units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np

from shoal.collective.batches import in_batches
from shoal.data.asking import Inputs, checked, decoded, encoded
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.prediction import Prediction
from shoal.neurons.frozen import partition
from shoal.population import Fitted, Group, Population
from shoal.population.samples import Samples, as_samples
from shoal.score import classes
from shoal.score.distribution import crps_mixture, nll_mixture
from shoal.score.points import mae, masked_mean, rmse
from shoal.weighting.evidence import known_of, row_losses

if TYPE_CHECKING:
    from shoal.tune.crossing import Crossed

Answers = dict[int, Any]  # by member
_CLASSES = {f.__name__: f for f in (classes.accuracy, classes.log_loss, classes.brier, classes.ece)}


@dataclass(frozen=True)
class Rows:
    """What is trained on and what chooses, raw; with a scaling, both are encoded by it.

    Args:
        train: rows as `shoal.fit` takes them.
        valid: likewise, None for none.
        scaling: a `shoal.data.Scaling`.
    """

    train: Any
    valid: Any = None
    scaling: Any = None

    def raw(self, name: str) -> Any:
        """The rows with fields, in the units they came in."""
        rows = getattr(self, name)
        return rows if self.scaling is not None or rows is None else as_samples(rows, name)

    def encoded(self, name: str) -> Samples | None:
        """The rows as members read them."""
        return self._encoded[name]

    @cached_property
    def _encoded(self) -> dict[str, Samples | None]:
        return {name: self._encode(name) for name in ("train", "valid")}

    def _encode(self, name: str) -> Samples | None:
        rows = self.raw(name)
        if rows is None or self.scaling is None:
            return rows
        return as_samples(self.scaling.encode_sequences(rows), name)


def score(
    fitted: Fitted,
    owner: Sequence[int],
    trials: Sequence[int],
    rows: Rows,
    metrics: Sequence[Any],
    crossed: Crossed | None = None,
) -> dict[int, tuple[float, ...] | str]:
    """Each trial's figures, or why it has none."""
    if not trials:
        return {}
    asking = crossed is not None or any(one not in ("loss", "parameters") for one in metrics)
    if not asking:
        answers, truth = {}, None
    elif crossed is not None:
        answers, truth = _crossed_answers(fitted.population, rows, crossed)
    else:
        answers = _answers(fitted.population, rows, "valid", None)
        truth = rows.raw("valid")
    count = len(owner) // (1 if crossed is None else len(crossed.folds))
    found: dict[int, tuple[float, ...] | str] = {}
    for trial in trials:
        members = [member for member in range(count) if owner[member] == trial]
        said = _stacked([answers[member] for member in members]) if asking else None
        losses = None if crossed else [fitted.status[member]["best_loss"] for member in members]
        member = fitted.population.member(members[0]) if "parameters" in metrics else None
        found[trial] = _figures(metrics, said, truth, losses, member)
    return found


def _figures(metrics, said, truth, losses, member) -> tuple[float, ...] | str:
    """A trial's figures, or why it has none: a metric raised, or is no finite number."""
    values = []
    for metric in metrics:
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", repr(metric))
        try:
            value = float(_figure(metric, said, truth, losses, member))
        except Exception as error:  # a user's own function may raise anything
            return f"{name}: {type(error).__name__}: {error}"
        if not np.isfinite(value):
            return f"{name}: is {value}"
        values.append(value)
    return tuple(values)


def _figure(metric: Any, said: Any, truth: Any, losses: Any, member: Any) -> Any:
    if metric == "parameters":
        return sum(leaf.size for leaf in jax.tree.leaves(partition(member)[0]))
    if metric == "loss" and losses is not None:
        return np.mean(losses)
    y, y_mask = truth.y, getattr(truth, "y_mask", None)
    if metric == "loss":
        return row_losses(said, *known_of(y, y_mask)).mean()
    count = len(jax.tree.leaves(said)[0])
    p = Prediction(said, np.full(count, 1 / count))
    if callable(metric):
        return metric(p, y, y_mask)
    if metric in _CLASSES:
        return _CLASSES[metric](p.probabilities, y)
    if metric in ("rmse", "mae"):
        return {"rmse": rmse, "mae": mae}[metric](p.mean, y, y_mask, None)
    stds = p.outputs.std if isinstance(p.outputs, Normal) else None
    if metric == "crps":
        return masked_mean(crps_mixture(p.weights, p.members, stds, y), y, y_mask, None)
    return masked_mean(nll_mixture(p.weights, p.members, stds, y), y, y_mask, None)


def _answers(population: Population, rows: Rows, name: str, part: np.ndarray | None) -> Answers:
    """What every member says of the rows, or of a part of them, in the targets' units."""
    asked = _part(checked(rows.raw(name), gaps=rows.scaling is not None), part)
    inputs = encoded(asked, rows.scaling, np.float32)
    found: Answers = {}
    for group in population.groups:
        alone = _roomy(group)
        said = in_batches(lambda a, alone=alone: alone(a.x, a.timespans, mask=a.mask), inputs)
        said = decoded(said, rows.scaling, asked)
        for place, member in enumerate(group.indices):
            found[member] = _each(lambda values, place=place: values[place], said)
    return found


def _roomy(group: Any) -> Population:
    """The group as a population of a power of two, so that few programs serve many sizes."""
    size = 1 << (group.size - 1).bit_length()
    places = np.minimum(np.arange(size), group.size - 1)

    def filled(leaf: Any) -> Any:
        return jax.device_put(np.asarray(leaf)[places]) if eqx.is_array(leaf) else leaf

    members = jax.tree.map(filled, group.members)
    return Population((Group(members, tuple(range(size))),), (0,) * size)


def _crossed_answers(population: Population, rows: Rows, crossed: Crossed) -> tuple[Answers, Any]:
    """What each member's copies say of the rows they were trained without, and the truth."""
    count = len(population) // len(crossed.folds)
    said: list[Answers] = []
    for number, fold in enumerate(crossed.folds):
        copies = population.select(range(count * number, count * (number + 1)))
        said.append(_answers(copies, rows, "train", fold.test))
    order = np.concatenate([fold.test for fold in crossed.folds])
    raw = rows.raw("train")
    names = ("x", "timespans", "mask", "y", "y_mask")
    truth = Samples(*(_taken(getattr(raw, name, None), order) for name in names))
    joined = {m: _each(lambda *a: np.concatenate(a), *(one[m] for one in said)) for m in said[0]}
    return joined, truth


def _part(asked: Inputs, part: np.ndarray | None) -> Inputs:
    return asked if part is None else Inputs(*(_taken(array, part) for array in asked))


def _taken(array: Any, part: np.ndarray) -> Any:
    return None if array is None else np.asarray(array)[part]


def _stacked(answers: Sequence[Any]) -> Any:
    return _each(lambda *parts: np.stack(parts), *answers)


def _each(function: Any, *answers: Any) -> Any:
    if isinstance(answers[0], Normal | Categorical):
        return type(answers[0])(*(function(*parts) for parts in zip(*answers, strict=True)))
    return function(*answers)


def named(metrics: Sequence[Any]) -> Mapping[str, Any]:
    """The metrics by the names that tables give them."""
    return {m if isinstance(m, str) else getattr(m, "__name__", repr(m)): m for m in metrics}
