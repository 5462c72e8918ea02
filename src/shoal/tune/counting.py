"""Which trials of a study count, so that whoever looks comes to the same answer.

    root    a trial that replaces no other; the first ones, up to the budget, count
    line    a root, the trial that replaced it when its worker died, and so on
    head    the last of a line: what became of it

A study numbers trials without gaps or doubles, and whoever sees a trial sees all of lower number.
So where several replace the same trial, or were written down for the same point, it is the lowest
number that does, and a root beyond the budget is known as such by the one who asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from optuna.trial import FrozenTrial, TrialState

FACTS = "shoal"  # attributes of a trial: what became of it
KNOWN = "shoal:known"  # the point that it was written down for beforehand
OWNER = "shoal:worker"  # who trains it
RETRY = "shoal:retry_of"  # the number of the trial that it replaces
ENDED = "shoal:ended"  # why it was failed without being told: lost or surplus
LOST, SURPLUS = "lost", "surplus"


@dataclass(frozen=True)
class Book:
    """Who counts among trials.

    Args:
        trials: all of a study.
        budget: how many count; None: all.
        known: whether only those count that were written down beforehand, as a grid's.
    """

    trials: Sequence[FrozenTrial]
    budget: int | None = None
    known: bool = False

    @cached_property
    def lines(self) -> tuple[tuple[FrozenTrial, ...], ...]:
        """The lines that count, by the number of their roots."""
        replaced = {t.number: other for other, t in _replacements(self.trials)}
        roots = [t for t in _roots(self.trials) if KNOWN in t.user_attrs or not self.known]
        return tuple(tuple(_line(root, replaced)) for root in roots[: self.budget])

    @cached_property
    def heads(self) -> tuple[FrozenTrial, ...]:
        """The last trial of each line."""
        return tuple(line[-1] for line in self.lines)

    @property
    def left(self) -> int:
        """How many are still to be asked for."""
        waiting = sum(head.state == TrialState.WAITING for head in self.heads)
        open_ended = self.budget is not None and not self.known
        return waiting + (max((self.budget or 0) - len(self.lines), 0) if open_ended else 0)

    @property
    def pending(self) -> tuple[FrozenTrial, ...]:
        """Heads that are neither finished nor to be asked for: running, or about to be replaced."""
        return tuple(t for t in self.heads if t.state == TrialState.RUNNING or is_lost(t))

    @property
    def orphans(self) -> tuple[FrozenTrial, ...]:
        """Heads that were lost, and that nobody replaced."""
        return tuple(t for t in self.heads if is_lost(t))

    def counts(self, number: int) -> bool:
        """Whether a trial belongs to a line."""
        return number in self._numbers

    @cached_property
    def _numbers(self) -> frozenset[int]:
        return frozenset(trial.number for line in self.lines for trial in line)


def is_lost(trial: FrozenTrial) -> bool:
    """Whether it was failed because its worker died."""
    return trial.state == TrialState.FAIL and trial.user_attrs.get(ENDED) == LOST


def kept_trials(trials: Sequence[FrozenTrial]) -> Iterator[FrozenTrial]:
    """The trials that a table shows: heads that were begun, by number."""
    for head in sorted(Book(trials).heads, key=lambda trial: trial.number):
        running = head.state == TrialState.RUNNING and OWNER in head.user_attrs
        if running or (head.state.is_finished() and not is_lost(head)):
            yield head


def _roots(trials: Iterable[FrozenTrial]) -> Iterator[FrozenTrial]:
    """Those that replace no other, each known point once, without what was given back."""
    points = set()
    for trial in trials:
        attributes = trial.user_attrs
        point = attributes.get(KNOWN)
        if RETRY in attributes or attributes.get(ENDED) == SURPLUS or point in points:
            continue
        if point is not None:
            points.add(point)
        yield trial


def _replacements(trials: Iterable[FrozenTrial]) -> Iterator[tuple[FrozenTrial, FrozenTrial]]:
    """(other, trial): `other` replaces `trial`, and is the first to do so."""
    numbers = {trial.number: trial for trial in trials}
    done = set()
    for other in trials:
        which = other.user_attrs.get(RETRY)
        if which in numbers and which not in done and other.user_attrs.get(ENDED) != SURPLUS:
            done.add(which)
            yield other, numbers[which]


def _line(root: FrozenTrial, replaced: dict[int, FrozenTrial]) -> Iterator[FrozenTrial]:
    trial: FrozenTrial | None = root
    while trial is not None:
        yield trial
        trial = replaced.get(trial.number)
