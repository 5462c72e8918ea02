"""The engine: many trials as one training.

Every trial is a few members of one population. What training is told of a member (its learning
rate, weight decay, dropout, time scaling, seed) is data, so trials that differ in nothing else
share one program; trials of unlike structure are groups of the same population, in the same loop
over epochs. Halving ends members in that loop, and those that are left move together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shoal.population import EpochInfo, Fitted, fit
from shoal.tune.candidates import Candidate, Nursery, lineup
from shoal.tune.crossing import cross
from shoal.tune.halving import Halving
from shoal.tune.results import Result, results_of
from shoal.tune.scoring import Rows

if TYPE_CHECKING:  # it needs Optuna, and this file does not
    from shoal.tune.pruning import Pruning


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
    halving: Halving | Pruning | None = None,
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
        halving: ends those that fall behind, by a rule whose owners are filled in.
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
    return Contest(results_of(fitted, owner, rows, metrics, crossed, sorted(marks)), fitted, owner)


def spread(epochs: int, points: int) -> set[int]:
    """So many epochs, counted from 1, evenly spread, the last among them.

    >>> sorted(spread(30, 4)), sorted(spread(2, 10))
    ([8, 15, 22, 30], [1, 2])
    """
    return {max(1, round(epochs * (place + 1) / points)) for place in range(points)}
