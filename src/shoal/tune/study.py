"""The search itself: Optuna's study is asked for points, the engine answers, the study is told.

    ask n times  →  points  →  the engine trains them side by side  →  tell n times

Everything that must outlive the process stands in the study's storage. A trial is one of

    waiting    a point that was written down: a grid's, the configuration itself, one taken up again
    running    asked for; a worker trains it
    complete, pruned, failed
    lost       failed, because its worker died; another trial, which knows its number, replaces it
    surplus    failed, because somebody else had asked for the last one that counts

Several workers may do this at once; `workers.py` says who is gone, `counting.py` what counts.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

try:
    import optuna
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial, TrialState
except ImportError as error:
    raise ImportError("shoal.tune needs Optuna: pip install 'shoal[tune]'") from error

from shoal.tune.counting import FACTS, KNOWN, RETRY, SURPLUS, Book, kept_trials
from shoal.tune.methods import STUDY, grid_points, sampler, sampler_kind
from shoal.tune.results import INTERRUPTED, Result
from shoal.tune.space import Point, Space
from shoal.tune.takeover import claim, end, recover, replace
from shoal.tune.telling import tell
from shoal.tune.workers import Worker

__all__ = ["FACTS", "RETRY", "Search", "quiet", "reached", "recover", "tell"]
Before = Mapping[int, Sequence[float]]  # rung → what earlier trials had reached there
Evaluate = Callable[[Sequence[Point], Before], Iterable[tuple[int, Result]]]

_LOOKS = 64  # at what others wrote, while a grid is written down


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
        worker: this process as one of several; None where nobody else works on the study.
        say: told what others do.
    """

    study: Study
    space: Space
    method: Mapping[str, Any]
    trials: int
    batch: int
    seed: int = 0
    seconds: float | None = None
    worker: Worker | None = None
    say: Callable[[str], Any] = lambda text: None

    def run(
        self,
        evaluate: Evaluate,
        told: Callable[[FrozenTrial, Result], Any] = lambda trial, result: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Ask, evaluate, tell, until there are enough trials; whether it was interrupted.

        Args:
            evaluate: points and what earlier trials reached → (place, result), in any order.
            told: called with every trial that the study was told of.
            should_stop: asked while there is nothing to do but to wait for others.
        """
        began = time.monotonic()
        while self.seconds is None or time.monotonic() - began < self.seconds:
            self.take_over()
            book = self.book()
            if asked := self.ask(min(self.batch, book.left)):
                if self._interrupted(asked, evaluate, told):
                    return True
            elif not book.left:
                if self.worker is None or not book.pending:
                    return False
                if should_stop():
                    return True
                self.worker.say("waiting for", self.say)
                self.worker.rest()
        return False

    def _interrupted(self, asked: Sequence[Trial], evaluate: Evaluate, told: Callable) -> bool:
        """Trains a batch and tells the study; whether somebody stopped it."""
        begun = [(trial, point) for trial in asked if (point := self._point(trial)) is not None]
        if self.worker is not None:
            self.worker.say("beside", self.say)
        points = [point for _, point in begun]
        for place, result in evaluate(points, reached(self.study)) if points else ():
            if result.state == INTERRUPTED:
                return True
            own = begun[place][0]
            trial = tell(self.study, own, result)
            if trial is None:
                self.say(f"trial {own.number} was taken over; what came late is left out")
            else:
                told(trial, result)
        return False

    def book(self) -> Book:
        """Which trials count, as things stand."""
        grid = sampler_kind(self.method) == "grid"  # all of it was written down
        return Book(self.study.get_trials(deepcopy=False), self.trials, known=grid)

    def left(self) -> int:
        """How many trials are still to be asked for."""
        return self.book().left

    def ask(self, count: int) -> list[Trial]:
        """The next trials; fewer where somebody else was faster."""
        if count < 1:
            return []
        self.study.sampler = self._sampler(len(self.study.get_trials(deepcopy=False)))
        asked = [self.study.ask() for _ in range(count)]
        if self.worker is None:
            return asked
        book = self.book()
        own, rest = ([t for t in asked if book.counts(t.number) is mine] for mine in (True, False))
        for trial in rest:
            end(self.study, trial, SURPLUS)
        return [trial for trial in own if claim(trial, self.worker.name)]

    def take_over(self) -> None:
        """What workers left that are gone is written down again."""
        if self.worker is not None and (quiet := self.worker.quiet):
            trials = self.study.get_trials(deepcopy=False)
            self.begin_again([trial for trial in trials if trial.number in quiet])

    def begin_again(self, gone: Sequence[FrozenTrial]) -> None:
        """Writes down again what nobody trains any more: running trials, and lost ones."""
        book, numbers = self.book(), {trial.number for trial in gone}
        running = [trial for trial in gone if trial.state == TrialState.RUNNING]
        for trial in running:
            if not book.counts(trial.number):
                end(self.study, trial, SURPLUS)
        orphans = [trial for trial in book.orphans if trial.number in numbers]
        for trial in orphans:
            replace(self.study, trial)
        lost = recover(self.study, [trial for trial in running if book.counts(trial.number)])
        if found := sorted([*lost, *(trial.number for trial in orphans)]):
            self.say(f"trials {', '.join(map(str, found))} were left unfinished; they begin again")

    def enqueue(self, start: Point | None = None) -> None:
        """Writes down the points that are known beforehand: the first one, and a grid's.

        May be done again: what is written down already is left as it is. Workers that begin at the
        same moment begin at unlike points, and look now and then what others wrote.
        """
        points = [] if start is None else [start]
        if sampler_kind(self.method) == "grid":
            points += grid(self.space, self.method.get("points", 5), self.trials, self.seed)
        known = {json.dumps(one, sort_keys=True): one for one in map(self.space.kept, points)}
        names, step = list(known)[: self.trials], len(known) or 1
        if self.worker is not None:
            turn, step = 1 + secrets.randbelow(step), -(-step // _LOOKS)
            names = names[:1] + names[turn:] + names[1:turn]
        for begin in range(0, len(names), step):
            there = self._there()
            for name in (one for one in names[begin : begin + step] if one not in there):
                self.study.enqueue_trial(known[name], user_attrs={KNOWN: name})

    def _there(self) -> set[str | None]:
        """The names of the points that are written down."""
        lines = Book(self.study.get_trials(deepcopy=False)).lines
        return {root.user_attrs.get(KNOWN) for root, *_ in lines}

    def _point(self, trial: Trial) -> Point | None:
        """A trial's point; None where somebody took it over before it was begun.

        Among several workers a trial's number decides what is drawn for it.
        """
        if self.worker is None:
            return self.space.suggest(trial)
        self.study.sampler = self._sampler(trial.number)
        try:
            return self.space.suggest(trial)
        except UpdateFinishedTrialError:
            return None

    def _sampler(self, drawn: int) -> BaseSampler:
        """What proposes trials when so many numbers were given out."""
        if sampler_kind(self.method) == STUDY:
            return self.study.sampler
        conditional = any(one.when for one in self.space.dimensions.values())
        return sampler(self.method, self.seed, drawn, self.batch, conditional=conditional)


def grid(space: Space, points: int, most: int, seed: int) -> list[Point]:
    """The grid's points, or as many of them as are asked for, drawn at random."""
    found = grid_points(space, points)
    if len(found) <= most:
        return found
    chosen = np.random.default_rng(seed).permutation(len(found))[:most]
    return [found[i] for i in sorted(chosen)]


def reached(study: Study) -> dict[int, list[float]]:
    """What every trial so far had reached, by epoch."""
    found: dict[int, list[float]] = {}
    for trial in kept_trials(study.get_trials(deepcopy=False)):
        for epoch, value in trial.user_attrs.get(FACTS, {}).get("curve", {}).items():
            found.setdefault(int(epoch), []).append(value)
    return found


def quiet() -> None:
    """Optuna's own log says nothing but warnings; ours tells the rest."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
