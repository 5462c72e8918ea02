"""What a search comes to: its table, the best trial, the front of several objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.tune.counting import FACTS, kept_trials
from shoal.tune.space import Point, Space

if TYPE_CHECKING:
    import pandas as pd
    from optuna.study import Study

_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}


@dataclass(frozen=True)
class Tried:
    """One trial.

    Attributes:
        number: in the study.
        state: "complete", "pruned", "failed" or "running".
        point: path → value.
        values: by metric; empty where it is not complete.
        facts: epochs, best_epoch, seconds, losses, curve, reason.
    """

    number: int
    state: str
    point: Point
    values: Mapping[str, float]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """Everything a search found.

    Args:
        study: Optuna's, for its own plots and importances.
        space: what was searched.
        metrics: what trials were compared by; the first one decides on the best.
        directions: "minimize" or "maximize", for each.
        folder: where it is kept, None in memory.
        interrupted: whether it was stopped before its time.
    """

    study: Study
    space: Space
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    folder: Path | None = None
    interrupted: bool = False

    @cached_property
    def trials(self) -> tuple[Tried, ...]:
        """All trials, by number; those that were lost and done again are left out."""
        trials = self.study.get_trials(deepcopy=False)
        return tuple(self._tried(trial) for trial in kept_trials(trials))

    @cached_property
    def ranked(self) -> tuple[Tried, ...]:
        """The complete trials, the best of the first metric first."""
        name, sign = self.metrics[0], -1 if self.directions[0] == "maximize" else 1
        done = [trial for trial in self.trials if trial.state == "complete"]
        return tuple(sorted(done, key=lambda one: sign * one.values[name]))

    @property
    def best(self) -> Tried:
        """The best complete trial, by the first metric.

        Raises:
            ValueError: there is none.
        """
        if not self.ranked:
            raise ValueError(f"no trial is complete: {self.first_cause or 'there are none'}")
        return self.ranked[0]

    @property
    def front(self) -> tuple[Tried, ...]:
        """The trials that no other one beats in every objective; with one objective, the best."""
        signs = [-1 if one == "maximize" else 1 for one in self.directions]
        points = [
            [sign * t.values[name] for sign, name in zip(signs, self.metrics, strict=True)]
            for t in self.ranked
        ]
        free = [not any(_beats(b, a) for b in points) for a in points]
        return tuple(trial for trial, kept in zip(self.ranked, free, strict=True) if kept)

    @property
    def first_cause(self) -> str:
        """Why the first of the failed trials failed; empty where none did."""
        failed = [trial for trial in self.trials if trial.state == "failed"]
        return f"trial {failed[0].number}: {failed[0].facts.get('reason')}" if failed else ""

    def columns(self) -> dict[str, list[Any]]:
        """The table: number, state, metrics, paths, epochs, best_epoch, seconds, reason."""
        rows = self.trials
        told = ("epochs", "best_epoch", "seconds", "reason")
        return {
            "trial": [one.number for one in rows],
            "state": [one.state for one in rows],
            **{name: [one.values.get(name) for one in rows] for name in self.metrics},
            **{path: [one.point.get(path) for one in rows] for path in self.space.dimensions},
            **{name: [one.facts.get(name) for one in rows] for name in told},
        }

    def table(self) -> pd.DataFrame:
        """The table as a DataFrame, a row per trial."""
        import pandas as pd

        return pd.DataFrame(self.columns())

    def _tried(self, trial: Any) -> Tried:
        state = _STATES[trial.state.name]
        values = trial.values if state == "complete" else ()
        return Tried(
            number=trial.number,
            state=state,
            point=self.space.read(trial.params),
            values=dict(zip(self.metrics, values or (), strict=False)),
            facts=trial.user_attrs.get(FACTS, {}),
        )


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    """At least as good everywhere, and better somewhere."""
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
