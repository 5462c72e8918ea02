"""The engine: many trials as one training.

Every trial is a few members of one population. What training is told of a member (its learning
rate, weight decay, dropout, time scaling, seed) is data, so trials that differ in nothing else
share one program; trials of unlike structure are groups of the same population, in the same loop
over epochs. Halving ends members in that loop, and those that are left move together.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from shoal.neurons.frozen import Dropout
from shoal.neurons.time_scaling import TimeScaling
from shoal.population import EpochInfo, Fitted, Group, Population, fit
from shoal.population.made import made
from shoal.tune.crossing import Crossed, cross
from shoal.tune.halving import Halving, trial_scores
from shoal.tune.scoring import Rows, score

COMPLETE, PRUNED, FAILED, INTERRUPTED = "complete", "pruned", "failed", "interrupted"


class Candidate(NamedTuple):
    """A trial as the engine trains it.

    Args:
        key: candidates of equal keys have the same `make`.
        make: `make(key) -> member`.
        seeds: one member of each.
        learning_rate, weight_decay: of all of them.
        dropout: the rate of every dropout; None leaves the member's own.
        time_scaling: in place of the member's own, None leaves that.
    """

    key: Hashable
    make: Callable[[Any], Any]
    seeds: tuple[int, ...] = (0,)
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    dropout: float | None = None
    time_scaling: TimeScaling | None = None


@dataclass(frozen=True)
class Result:
    """What became of a trial; plain data, so that it can come from another process.

    Attributes:
        state: "complete", "pruned", "failed" or "interrupted".
        values: one per metric, where it is complete.
        reason: why it ended before its time, or failed.
        curve: epoch (counted from 1) → the score then, at some epochs.
        epochs: how many each member trained, all of them added.
        best_epoch: of its best member, counted from 1.
        seconds: its share of the training's time, compilation included.
        losses: each member's best validation loss.
    """

    state: str
    values: tuple[float, ...] | None = None
    reason: str = ""
    curve: Mapping[int, float] = field(default_factory=dict)
    epochs: int = 0
    best_epoch: int | None = None
    seconds: float = 0.0
    losses: tuple[float | None, ...] = ()


Nursery = dict[tuple[Hashable, int], Any]  # members as they begin, by key and seed


class Contest(NamedTuple):
    """What `compete` leaves: a result per candidate, the members, and whose each one is."""

    results: list[Result]
    fitted: Fitted
    owner: tuple[int, ...]


def compete(
    candidates: Sequence[Candidate],
    rows: Rows,
    *,
    metrics: Sequence[Any] = ("loss",),
    halving: Halving | None = None,
    folds: Mapping[str, Any] | None = None,
    points: int = 10,
    nursery: Nursery | None = None,
    on_epoch: Callable[[EpochInfo], Any] | None = None,
    should_stop: Callable[[], bool] | None = None,
    **options: Any,
) -> Contest:
    """Trains candidates side by side, and scores them.

    Args:
        candidates: what is trained.
        rows: what on, and what is asked afterwards.
        metrics: of `shoal.tune.scoring`.
        halving: ends those that fall behind; its owners are filled in.
        folds: arguments of `shoal.data.folds.make_folds`, to score by cross-validation.
        points: of each curve, evenly spread over the epochs; those at rungs come on top.
        nursery: members that were made already; new ones are added.
        on_epoch, should_stop, options: of `shoal.fit`, common to all candidates.
    """
    population, owner = lineup(candidates, nursery)
    own = [candidates[trial] for trial in owner]
    given: dict[str, Any] = {
        "learning_rate": np.array([one.learning_rate for one in own]),
        "weight_decay": np.array([one.weight_decay for one in own]),
    }
    crossed = None if folds is None else cross(rows, **folds)
    if crossed is not None:
        population, owner, given = crossed.copied(population, owner, given)
    rule = None if halving is None else replace(halving, owner=owner)
    marks = spread(options.get("epochs", 100), points) | set(rule.rungs if rule else ())
    fitted = fit(
        population,
        rows.encoded("train"),
        rows.encoded("valid"),
        stopping=rule,
        on_epoch=on_epoch,
        should_stop=should_stop,
        **given,
        **options,
    )
    return Contest(_results(fitted, owner, rows, metrics, crossed, sorted(marks)), fitted, owner)


def spread(epochs: int, points: int) -> set[int]:
    """So many epochs, counted from 1, evenly spread, the last among them.

    >>> sorted(spread(30, 4)), sorted(spread(2, 10))
    ([8, 15, 22, 30], [1, 2])
    """
    return {max(1, round(epochs * (place + 1) / points)) for place in range(points)}


def lineup(
    candidates: Sequence[Candidate], nursery: Nursery | None = None
) -> tuple[Population, tuple[int, ...]]:
    """The members of all candidates, and the place of the candidate each belongs to."""
    owner = tuple(place for place, one in enumerate(candidates) for _ in one.seeds)
    seeds = [seed for one in candidates for seed in one.seeds]
    own = [candidates[place] for place in owner]
    population = Population.of(_born(own, seeds, {} if nursery is None else nursery), seeds)
    groups = tuple(_dressed(group, [own[i] for i in group.indices]) for group in population.groups)
    return Population(groups, population.seeds), owner


def _born(own: Sequence[Candidate], seeds: Sequence[int], nursery: Nursery) -> list[Any]:
    """The members as they begin; those that the nursery lacks are made, all in one program."""
    wanted: dict[Hashable, list[int]] = {}
    for one, seed in zip(own, seeds, strict=True):
        if (one.key, seed) not in nursery and seed not in wanted.setdefault(one.key, []):
            wanted[one.key].append(seed)
    lacking = {key: new for key, new in wanted.items() if new}
    makes = {one.key: one.make for one in own}
    if lacking:
        found = made([makes[key] for key in lacking], list(lacking.values()))
        for (key, new), members in zip(lacking.items(), found, strict=True):
            nursery.update(zip([(key, seed) for seed in new], members, strict=True))
    return [nursery[one.key, seed] for one, seed in zip(own, seeds, strict=True)]


def _dressed(group: Group, own: Sequence[Candidate]) -> Group:
    """The members with their own dropout and time scaling."""
    members = group.members
    rates = np.array([np.nan if one.dropout is None else one.dropout for one in own], np.float32)
    if np.isfinite(rates).any():
        members = _with_dropout(members, rates)
    if any(one.time_scaling is not None for one in own):
        members = _with_scaling(members, [one.time_scaling for one in own])
    return Group(members, group.indices)


def _with_dropout(members: Any, rates: np.ndarray) -> Any:
    """NaN leaves a member's own rate."""

    def replaced(node: Any) -> Any:
        if not isinstance(node, Dropout):
            return node
        old = np.asarray(node.rate.value)
        new = rates.reshape(-1, *[1] * (old.ndim - 1))
        value = jax.device_put(np.where(np.isnan(new), old, new).astype(np.float32))
        return eqx.tree_at(lambda d: d.rate.value, node, value)

    return jax.tree.map(replaced, members, is_leaf=lambda node: isinstance(node, Dropout))


def _with_scaling(members: Any, scalings: Sequence[TimeScaling | None]) -> Any:
    """None leaves a member's own."""

    def replaced(node: Any) -> Any:
        if not isinstance(node, TimeScaling):
            return node
        news = [[None] * 3 if one is None else jax.tree.leaves(one) for one in scalings]
        olds, tree = jax.tree.flatten(node)
        arrays = [np.array(old) for old in olds]
        for place, new in enumerate(news):
            for array, value in zip(arrays, new, strict=True):
                array[place] = array[place] if value is None else value
        return jax.tree.unflatten(tree, map(jax.device_put, arrays))

    return jax.tree.map(replaced, members, is_leaf=lambda node: isinstance(node, TimeScaling))


def _results(
    fitted: Fitted,
    owner: tuple[int, ...],
    rows: Rows,
    metrics: Sequence[Any],
    crossed: Crossed | None,
    marks: Sequence[int],
) -> list[Result]:
    states = [_state(fitted, members) for members in members_of(owner)]
    done = [trial for trial, (state, _) in enumerate(states) if state == COMPLETE]
    values = score(fitted, owner, done, rows, metrics, crossed)
    seconds = _seconds(fitted)
    curves = _curves(fitted, owner, marks)
    found = []
    for trial, members in enumerate(members_of(owner)):
        state, reason = states[trial]
        own, value = [fitted.status[i] for i in members], values.get(trial)
        if isinstance(value, str):
            state, reason, value = FAILED, value, None
        best = min((s for s in own if s["usable"]), key=lambda s: s["best_loss"], default=None)
        found.append(
            Result(
                state=state,
                values=value,
                reason=reason,
                curve=curves[trial],
                epochs=sum(one["epochs"] for one in own),
                best_epoch=None if best is None else best["best_epoch"] + 1,
                seconds=float(seconds[members].sum()),
                losses=tuple(one["best_loss"] for one in own),
            )
        )
    return found


def members_of(owner: Sequence[int]) -> list[list[int]]:
    """The members of each trial."""
    found: list[list[int]] = [[] for _ in range(max(owner) + 1)]
    for member, trial in enumerate(owner):
        found[trial].append(member)
    return found


def _state(fitted: Fitted, members: Sequence[int]) -> tuple[str, str]:
    """A trial is what the worst of its members came to."""
    own = [fitted.status[i] for i in members]
    for one in own:
        if not one["usable"] and one["status"] != "stopped":
            return FAILED, f"member of seed {one['seed']}: {one['reason'] or 'no finite loss'}"
    for status, state in (("stopped", PRUNED), ("interrupted", INTERRUPTED)):
        for one in own:
            if one["status"] == status:
                return state, one["reason"]
    return COMPLETE, ""


def _seconds(fitted: Fitted) -> np.ndarray:
    """(members,) each epoch's time, shared by those that trained in it."""
    worked = fitted.history.matrix("worked").astype(bool)
    each = np.array(fitted.history.seconds) / np.maximum(worked.sum(1), 1)
    return (worked * each[:, None]).sum(0)


def _curves(fitted: Fitted, owner: tuple[int, ...], marks: Sequence[int]) -> list[dict[int, float]]:
    """Each trial's best score so far, as halving sees it, at the marks it lived to see."""
    history, whose = fitted.history, np.array(owner)
    count = max(owner) + 1
    if not history.epochs:
        return [{} for _ in range(count)]
    valid, train = history.matrix("valid_loss"), history.matrix("train_loss")
    told = valid if np.isfinite(valid).any() else train
    best = np.fmin.accumulate(np.where(np.isfinite(told), told, np.inf), axis=0)
    worked = history.matrix("worked").astype(bool)
    curves: list[dict[int, float]] = [{} for _ in range(count)]
    for mark in (m for m in marks if m <= history.epochs):
        scores = trial_scores(best[mark - 1], whose)
        for trial in np.unique(whose[worked[mark - 1]]):
            if np.isfinite(scores[trial]):
                curves[trial][mark] = float(scores[trial])
    return curves
