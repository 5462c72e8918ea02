"""Which scale of the elapsed times serves these members best, by validation.

    d_i = loss_i(best) − loss_i(current),     mean(d) ± std(d)/√n over the seeds

Every scale is tried with the same seeds and the same order of the data, all of them members of one
population in one program. The lowest mean loss wins; where it is within one standard error of the
current scale's, that is kept (without a current one, the simplest).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from shoal.equations.elapsed import KINDS
from shoal.neurons.cell import AbstractCell
from shoal.neurons.time_scaling import TimeScaling
from shoal.population import Population
from shoal.population.samples import Samples, as_samples
from shoal.tune.candidates import Candidate, Nursery
from shoal.tune.engine import compete
from shoal.tune.scoring import Rows

SIMPLEST = ("raw", "normalised", "log", "bounded", "zscore")


@dataclass(frozen=True)
class Scaled:
    """One scale: its members' best validation losses, NaN of those that diverged.

    Attributes:
        kind: of the scale.
        losses: by member.
        difference: the mean over members of the loss less that of the current scale's same member.
        error: the standard error of that mean.
    """

    kind: str
    losses: np.ndarray
    difference: float
    error: float

    @property
    def mean(self) -> float:
        """Of the losses; NaN where a member diverged."""
        return float(self.losses.mean())

    @property
    def spread(self) -> float:
        """The standard error of the mean loss."""
        return _error(self.losses)


@dataclass(frozen=True)
class TimeScalings:
    """The comparison, and what follows.

    Attributes:
        scales: those that were tried.
        current: what the others are compared with.
        suggestion: the scale to train with.
        reason: why.
        notes: what else should be known of the data.
    """

    scales: tuple[Scaled, ...]
    current: str
    suggestion: str
    reason: str
    notes: tuple[str, ...] = ()


def compare_time_scalings(
    population: Population,
    train: Any,
    valid: Any,
    *,
    kinds: Sequence[str] | None = None,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    dropout: float | None = None,
    **training: Any,
) -> TimeScalings:
    """Compares scales of elapsed time, for members with a `TimeScaling`, as `SequenceModel` has.

    Args:
        population: the members; left as it is. Their own scale is the current one, where they have
            one in common.
        train, valid: samples as `shoal.fit` takes them, with timespans.
        kinds: of `raw`, `log`, `normalised`, `bounded` and `zscore`; by default those that the
            members' neurons can take.
        learning_rate, weight_decay, dropout: of all members.
        training: further arguments of `shoal.fit`.

    Raises:
        ValueError: the data have no elapsed times, the members do not scale them, or no scale has
            a finite loss.

    >>> import equinox as eqx, jax.numpy as jnp
    >>> class Decay(eqx.Module):
    ...     rate: jax.Array
    ...     scaling: TimeScaling
    ...
    ...     def __call__(self, x, timespans=None, *, mask=None, key=None):
    ...         return x[:, -1] * jnp.exp(-self.rate * self.scaling(timespans)[:, -1:])
    >>> make = lambda key: Decay(jax.random.normal(key, ()), TimeScaling("raw"))
    >>> x, t = np.ones((64, 2, 1), np.float32), np.random.default_rng(0).uniform(0, 99, (64, 2))
    >>> rows = x, t, np.exp(-t[:, -1:] / 20)
    >>> found = compare_time_scalings(
    ...     Population.init(make), rows, rows, epochs=9, learning_rate=0.1
    ... )
    >>> found.current, found.suggestion
    ('raw', 'normalised')
    """
    rows = as_samples(train, "train")
    if valid is None:
        raise ValueError("there is nothing to compare scales by; give `valid`")
    facts, notes = elapsed(rows)
    own = scalings_of(population)
    kinds = _taken(population, facts) if kinds is None else tuple(kinds)
    made = [TimeScaling(kind, **facts) for kind in kinds]
    told = {"learning_rate": learning_rate, "weight_decay": weight_decay, "dropout": dropout}
    seeds, every = population.seeds, range(len(population))
    candidates = [
        Candidate(place, lambda key: None, (seeds[place],), **told, time_scaling=scaling)
        for scaling in made
        for place in every
    ]
    nursery: Nursery = {(place, seeds[place]): population.member(place) for place in every}
    found = compete(candidates, Rows(rows, valid), nursery=nursery, **training).results
    losses = np.array([_loss(one.losses[0]) for one in found]).reshape(len(kinds), -1)
    current = own.pop() if len(own) == 1 else None
    return compared(dict(zip(kinds, losses, strict=True)), current, notes)


def compared(
    losses: Mapping[str, np.ndarray], current: str | None = None, notes: Sequence[str] = ()
) -> TimeScalings:
    """The comparison of these losses, by kind; each in the order of the members.

    Raises:
        ValueError: members of every scale diverged.

    >>> found = compared({"raw": np.array([1.0, 2.0]), "log": np.array([0.5, 1.6])}, "raw")
    >>> found.suggestion, found.reason
    ('log', 'its mean loss is lower than with raw by 0.45 ± 0.05, in 2 of 2 members')
    """
    means = {kind: float(own.mean()) for kind, own in losses.items()}
    finite = {kind: mean for kind, mean in means.items() if np.isfinite(mean)}
    if not finite:
        raise ValueError("with every time scaling a member diverged; lower the learning rate")
    kept = current if current in finite else min(finite, key=SIMPLEST.index)
    best = min(finite, key=lambda kind: finite[kind])
    less = {kind: own - losses[kept] for kind, own in losses.items()}
    scales = tuple(
        Scaled(kind, losses[kind], float(own.mean()), _error(own)) for kind, own in less.items()
    )
    return TimeScalings(scales, kept, *_choice(less[best], best, kept), tuple(notes))


def _choice(less: np.ndarray, best: str, kept: str) -> tuple[str, str]:
    if best == kept:
        return kept, "its mean loss is the lowest"
    mean, error = -float(less.mean()), _error(less)
    said = f"{mean:.3g} ± {error:.2g}"
    if mean <= error:
        return kept, f"{best} is better by {said}, which is within one standard error"
    better = f"in {int((less < 0).sum())} of {len(less)} members"
    return best, f"its mean loss is lower than with {kept} by {said}, {better}"


def elapsed(rows: Samples) -> tuple[dict[str, float], tuple[str, ...]]:
    """Mean and standard deviation of the elapsed times, and what should be known of them.

    Raises:
        ValueError: there are none, or all are zero.
    """
    if rows.timespans is None:
        raise ValueError("the data have no elapsed times to scale; give (x, timespans, y)")
    spans = np.asarray(rows.timespans, float).reshape(rows.x.shape[:2])
    known = spans if rows.mask is None else spans[np.asarray(rows.mask, bool)]
    facts = {"mean": float(known.mean()), "std": float(known.std())}
    if facts["mean"] <= 0:
        raise ValueError("all elapsed times are 0, which no scale changes; give those of the data")
    gaps = spans[:, 1:] if rows.mask is None and spans.shape[1] > 1 else known
    if np.ptp(gaps) > 1e-6 * facts["mean"]:
        return facts, ()
    return facts, ("all gaps are equal: scales differ in a constant factor only",)


def scalings_of(population: Population) -> set[str]:
    """The kinds of scale that the members have.

    Raises:
        ValueError: a member has none.
    """
    found: set[str] = set()
    for group in population.groups:
        own = _nodes(group.members, TimeScaling)
        if not own:
            raise ValueError("the members do not scale elapsed times; compare scales of others")
        for one in own:
            found |= {KINDS[number] for number in np.asarray(one.kind.value).ravel()}
    return found


def _taken(population: Population, facts: Mapping[str, float]) -> tuple[str, ...]:
    """The kinds that the members' neurons can take."""
    cells = [cell for group in population.groups for cell in _nodes(group.members, AbstractCell)]
    signed = bool(cells) and all(cell.signed_time for cell in cells) and facts["std"] > 0
    return KINDS if signed else tuple(kind for kind in KINDS if kind != "zscore")


def _nodes(tree: Any, kind: type) -> list[Any]:
    leaves = jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, kind))
    return [leaf for leaf in leaves if isinstance(leaf, kind)]


def _error(values: np.ndarray) -> float:
    """The standard error of a mean; infinite of one value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.inf


def _loss(value: float | None) -> float:
    return np.nan if value is None else float(value)
