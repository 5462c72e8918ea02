"""The search itself: Optuna's study is asked for points, the engine answers, the study is told.

    ask n times  →  points  →  the engine trains them side by side  →  tell n times

Everything that must outlive the process stands in the study's storage. A trial is one of

    waiting    a point that was written down: a grid's, the configuration itself, one taken up again
    running    asked for; a worker trains it
    complete, pruned, failed
    lost       failed, because its worker died; another trial, which knows its number, replaces it
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

try:
    import optuna
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial, TrialState
except ImportError as error:
    raise ImportError("shoal.tune needs Optuna: pip install 'shoal[tune]'") from error

from shoal.tune.methods import grid_points, sampler, sampler_kind
from shoal.tune.results import COMPLETE, INTERRUPTED, PRUNED, Result
from shoal.tune.space import Point, Space

FACTS, RETRY = "shoal", "shoal:retry_of"  # attributes of a trial
Before = Mapping[int, Sequence[float]]  # rung → what earlier trials had reached there
Evaluate = Callable[[Sequence[Point], Before], Iterable[tuple[int, Result]]]


@dataclass(frozen=True)
class Search:
    """A search that can be carried out, and taken up again.

    Args:
        study: where trials are kept.
        space: what is searched.
        method: of `shoal.tune.methods.settled`.
        trials: how many, those that failed counted; lost ones not.
        batch: how many are asked for at once.
        seed: of the search.
        seconds: no batch begins later.
    """

    study: Study
    space: Space
    method: Mapping[str, Any]
    trials: int
    batch: int
    seed: int = 0
    seconds: float | None = None

    def run(
        self,
        evaluate: Evaluate,
        told: Callable[[FrozenTrial, Result], Any] = lambda trial, result: None,
    ) -> bool:
        """Ask, evaluate, tell, until there are enough trials; whether it was interrupted.

        Args:
            evaluate: points and what earlier trials reached → (place, result), in any order.
            told: called with every trial that the study was told of.
        """
        began = time.monotonic()
        while self.seconds is None or time.monotonic() - began < self.seconds:
            count = min(self.batch, self.left())
            if count < 1:
                return False
            asked = self.ask(count)
            points = [self.space.suggest(trial) for trial in asked]
            for place, result in evaluate(points, reached(self.study)):
                if result.state == INTERRUPTED:
                    return True
                told(tell(self.study, asked[place], result), result)
        return False

    def left(self) -> int:
        """How many trials are still to be asked for."""
        trials = self.study.get_trials(deepcopy=False)
        waiting = sum(trial.state == TrialState.WAITING for trial in trials)
        if sampler_kind(self.method) == "grid":  # all of it was written down
            return waiting
        return self.trials - (len(trials) - waiting - len(lost(trials)))

    def ask(self, count: int) -> list[Trial]:
        """The next trials."""
        seen = len(self.study.get_trials(deepcopy=False))
        conditional = any(one.when for one in self.space.dimensions.values())
        self.study.sampler = sampler(
            self.method, self.seed, seen, self.batch, conditional=conditional
        )
        return [self.study.ask() for _ in range(count)]

    def enqueue(self, start: Point | None = None) -> None:
        """Writes down the points that are known beforehand: the first one, and a grid's."""
        points = [] if start is None else [start]
        if sampler_kind(self.method) == "grid":
            points += grid(self.space, self.method.get("points", 5), self.trials, self.seed)
        kept = [self.space.kept(point) for point in points]
        unlike = [one for place, one in enumerate(kept) if one not in kept[:place]]
        for point in unlike[: self.trials]:
            self.study.enqueue_trial(point)


def grid(space: Space, points: int, most: int, seed: int) -> list[Point]:
    """The grid's points, or as many of them as are asked for, drawn at random."""
    found = grid_points(space, points)
    if len(found) <= most:
        return found
    chosen = np.random.default_rng(seed).permutation(len(found))[:most]
    return [found[i] for i in sorted(chosen)]


def recover(study: Study, trials: Iterable[FrozenTrial]) -> list[int]:
    """Gives up trials whose worker is gone, and writes their points down to be trained again.

    Returns:
        Their numbers.
    """
    gone = [trial for trial in trials if trial.state == TrialState.RUNNING]
    for trial in gone:
        retried = {**trial.user_attrs, RETRY: trial.number}
        retried.pop(FACTS, None)
        study.enqueue_trial(trial.params, user_attrs=retried)
        study.tell(trial.number, state=TrialState.FAIL)
    return [trial.number for trial in gone]


def tell(study: Study, trial: Trial, result: Result) -> FrozenTrial:
    """What became of a trial, into the study."""
    trial.set_user_attr(FACTS, facts(result))
    if len(study.directions) == 1:
        for epoch, value in sorted(result.curve.items()):
            trial.report(value, epoch)
    if result.state == COMPLETE:
        return study.tell(trial, result.values)
    pruned = result.state == PRUNED
    return study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)


def facts(result: Result) -> dict[str, Any]:
    """What a study keeps of a result besides its values, as JSON."""
    return {
        "reason": result.reason,
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "seconds": round(result.seconds, 3),
        "losses": list(result.losses),
        "curve": {str(epoch): value for epoch, value in result.curve.items()},
    }


def reached(study: Study) -> dict[int, list[float]]:
    """What every trial so far had reached, by epoch."""
    found: dict[int, list[float]] = {}
    for trial in study.get_trials(deepcopy=False):
        for epoch, value in trial.user_attrs.get(FACTS, {}).get("curve", {}).items():
            found.setdefault(int(epoch), []).append(value)
    return found


def lost(trials: Iterable[FrozenTrial]) -> set[int]:
    """The numbers of the trials that others replace."""
    return {t.user_attrs[RETRY] for t in trials if RETRY in t.user_attrs}


def kept_trials(study: Study) -> Iterator[FrozenTrial]:
    """The trials that count, by number."""
    trials = study.get_trials(deepcopy=False)
    gone = lost(trials)
    return (t for t in trials if t.number not in gone and t.state != TrialState.WAITING)


def quiet() -> None:
    """Optuna's own log says nothing but warnings; ours tells the rest."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
