"""What a search's report is made from: plain data, from wherever it comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from shoal.report.figure import axis


@dataclass(frozen=True)
class Path:
    """One dimension that was searched.

    Args:
        name: the configuration's path.
        log: whether it was searched evenly in the logarithm.
        choices: the values of a categorical dimension as texts, in order; empty for numbers.
    """

    name: str
    log: bool = False
    choices: Sequence[str] = ()


@dataclass(frozen=True)
class Trial:
    """One trial.

    Args:
        number: its name.
        state: "complete", "pruned", "failed" or "running".
        point: path → number, or text of a categorical one; without those that did not apply.
        values: by metric; empty where it is not complete.
        curve: epoch → the first metric's stand-in during training.
        reason: why it ended early or failed.
        facts: what else the table says of it.
    """

    number: int
    state: str
    point: Mapping[str, Any]
    values: Mapping[str, float] = field(default_factory=dict)
    curve: Mapping[int, float] = field(default_factory=dict)
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchResults:
    """A search.

    Args:
        name: of what was tuned.
        metrics: what trials are compared by, the first one first.
        directions: "minimize" or "maximize", for each.
        paths: what was searched.
        trials: all of them, by number.
        importances: path → share, adding up to 1; empty where unknown.
        comparison: rows of held-out figures, each with `name`.
        compared: what those say, in a sentence.
        best: the configuration that was found, as text.
        facts: about the search.

    >>> tried = Trial(0, "complete", {"training.learning_rate": 1e-3}, {"valid_loss": 0.5})
    >>> found = SearchResults("co2", ("valid_loss",), ("minimize",), trials=[tried])
    >>> found.ranked[0].number
    0
    """

    name: str
    metrics: Sequence[str]
    directions: Sequence[str]
    paths: Sequence[Path] = ()
    trials: Sequence[Trial] = ()
    importances: Mapping[str, float] = field(default_factory=dict)
    comparison: Sequence[Mapping[str, Any]] = ()
    compared: str = ""
    best: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def ranked(self) -> list[Trial]:
        """The complete trials, the best by the first metric first."""
        sign, name = self.signs[0], self.metrics[0]
        done = [trial for trial in self.trials if trial.state == "complete"]
        return sorted(done, key=lambda trial: sign * trial.values[name])

    @property
    def signs(self) -> list[int]:
        """1 where less is better, -1 where more is."""
        return [-1 if one == "maximize" else 1 for one in self.directions]

    @cached_property
    def front(self) -> list[Trial]:
        """The complete trials that no other one beats in every metric."""
        if not self.ranked:
            return []
        values = [[t.values[name] for name in self.metrics] for t in self.ranked]
        scores = np.array(values) * self.signs
        beaten = [
            any((other <= own).all() and (other < own).any() for other in scores) for own in scores
        ]
        return [
            trial for trial, is_beaten in zip(self.ranked, beaten, strict=True) if not is_beaten
        ]


def render_search(results: SearchResults) -> str:
    """The report as one HTML file that needs no network.

    >>> page = render_search(SearchResults("co2", ("valid_loss",), ("minimize",)))
    >>> page.startswith("<!DOCTYPE html>")
    True
    """
    from shoal.report.search_page import page

    return page(results)


def values_of(trials: Sequence[Trial], metric: str) -> list[float]:
    """A metric of complete trials, as JSON takes it."""
    return axis(np.array([trial.values[metric] for trial in trials], float))


def called(metric: str) -> str:
    """A metric as people read it.

    >>> called("mine:worst_error")
    'worst error'
    """
    return metric.rsplit(":", 1)[-1].replace("_", " ")


def last(path: str) -> str:
    """The last part of a configuration's path.

    >>> last("training.learning_rate")
    'learning_rate'
    """
    return path.rsplit(".", 1)[-1]


def varies(path: Path, trials: Sequence[Trial]) -> bool:
    """Whether the trials were given unlike values there."""
    return len({str(trial.point.get(path.name)) for trial in trials}) > 1
