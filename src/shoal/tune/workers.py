"""Signs of life, without clocks that agree.

A worker counts aloud: every few seconds a thread writes the next number into the study. The others
look as often, and count their own looks: whose number stood still at so many of them is gone.
Nobody reads anybody's clock, and a worker that was itself suspended has looked at nothing
meanwhile.
"""

from __future__ import annotations

import math
import os
import secrets
import socket
import threading
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from shoal.tune.counting import OWNER, Book
from shoal.tune.takeover import recover

BEAT = "shoal:beat:"  # and a worker's name: an attribute of the study
_LONGEST = 10.0  # seconds between two beats
_BEATS = 6  # at least, before a worker counts as gone
_REST = 1.0  # seconds between two looks of a worker that has nothing to do


class Watch:
    """Counts the looks at which something stood still.

    >>> watch = Watch(2)
    >>> watch.look({"a": 1, "b": 1}), watch.look({"a": 1, "b": 2}), watch.look({"a": 1, "b": 2})
    (frozenset(), frozenset(), frozenset({'a'}))
    """

    def __init__(self, patience: int):
        self._patience = patience
        self._seen: dict[Any, Hashable] = {}
        self._still: dict[Any, int] = {}

    def look(self, found: Mapping[Any, Hashable]) -> frozenset:
        """Those that have not changed for `patience` looks."""
        same = {key for key, value in found.items() if self._seen.get(key, self) == value}
        self._still = {key: self._still[key] + 1 if key in same else 0 for key in found}
        self._seen = dict(found)
        return frozenset(key for key, count in self._still.items() if count >= self._patience)


class Worker:
    """One of several processes that work on a study; alive inside a `with` block.

    Args:
        study: what is shared.
        grace: seconds without a sign after which others take its trials.
        former: names that the same folder's workers had, which are known to be gone.

    Attributes:
        name: host, process, and a number that nobody else has.
        quiet: numbers of running trials whose worker is gone, and of lost ones that nobody
            replaced for as long.
    """

    def __init__(self, study: Study, grace: float, former: Collection[str] = ()):
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.study, self.quiet = study, frozenset[int]()
        self.interval = min(_LONGEST, grace / _BEATS)
        self._former = frozenset(former)
        self._watch = Watch(math.ceil(grace / self.interval))
        self._count, self._said, self._over = 0, "", threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> Worker:
        self.beat()
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """What it has not finished is free for others at once."""
        self._over.set()
        self._thread.join()
        try:
            recover(
                self.study, [t for t in self._running() if t.user_attrs.get(OWNER) == self.name]
            )
        except Exception:  # the storage is gone too; others will notice the silence
            return

    def beat(self) -> None:
        """One more sign of life."""
        self._count += 1
        self.study.set_user_attr(BEAT + self.name, self._count)

    def look(self) -> None:
        """Once more at everybody else."""
        beats, running = self.study.user_attrs, self._running()
        owners = {t.number: t.user_attrs.get(OWNER, "") for t in running}
        found = {n: (o, beats.get(BEAT + o)) for n, o in owners.items() if o != self.name}
        found |= {t.number: ("", None) for t in Book(self.study.get_trials(False)).orphans}
        known = {number for number, owner in owners.items() if owner in self._former}
        self.quiet = self._watch.look(found) | known

    def others(self) -> str:
        """Who else trains what, in a line; empty where nobody does."""
        found: dict[str, list[str]] = {}
        for trial in self._running():
            owner = trial.user_attrs.get(OWNER, self.name)
            if owner != self.name and trial.number not in self.quiet:
                found.setdefault(owner, []).append(str(trial.number))
        return "; ".join(f"{name} (trials {', '.join(own)})" for name, own in found.items())

    def say(self, word: str, tell: Callable[[str], Any]) -> None:
        """Tells who else is at work, when that is news."""
        others = self.others()
        news = f"{word} {others}" if others else ""
        if news and news != self._said:
            tell(news)
        self._said = news

    def rest(self) -> None:
        """A moment's wait for others."""
        self._over.wait(min(_REST, self.interval))

    def _running(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def _live(self) -> None:
        while not self._over.wait(self.interval):
            try:
                self.beat()
                self.look()
            except Exception:  # the storage may answer at the next beat
                self.quiet = frozenset()
