"""One dimension of a search space: what one path may be.

    Choice([a, b, c])                     one of these
    Integer(low, high, step, log)         low, low + step, …
    Float(low, high, step, log)           between the two, evenly or evenly in the logarithm

Each may hold only `when` other paths have certain values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shoal.run.tune_section import faults

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

When = Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """One of several values; anything that YAML can say, sections too.

    >>> Choice([16, 32]).at(0.7), Choice([None, {"kind": "auto_ncp"}]).labels
    (32, (None, '{"kind": "auto_ncp"}'))
    """

    values: Sequence[Any]
    when: When = field(default_factory=dict)

    def __post_init__(self):
        if len(self.values) < 1:
            raise ValueError("`values` must hold at least one choice, got none; add one")
        object.__setattr__(self, "values", tuple(self.values))

    @property
    def labels(self) -> tuple[Any, ...]:
        """The values as a study can keep them: lists and sections become texts."""
        return tuple(label(value) for value in self.values)

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.labels)

    def suggest(self, trial: Any, name: str) -> Any:
        """The value of an Optuna trial."""
        return self.value(trial.suggest_categorical(name, self.labels))

    def value(self, kept: Any) -> Any:
        """The value that a study keeps as `kept`."""
        return self.values[_place(self.labels, kept)]

    def grid(self, points: int) -> list[Any]:
        return list(self.values)

    def at(self, share: float) -> Any:
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def holds(self, value: Any) -> bool:
        return any(same(label(value), own) for own in self.labels)


@dataclass(frozen=True)
class Integer:
    """Whole numbers from low to high, both included.

    >>> Integer(8, 128, log=True).grid(5), Integer(1, 7, step=2).grid(9)
    ([8, 16, 32, 64, 128], [1, 3, 5, 7])
    """

    low: int
    high: int
    step: int = 1
    log: bool = False
    points: int | None = None
    when: When = field(default_factory=dict)

    def __post_init__(self):
        _check("integer", self)

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import IntDistribution

        return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step))

    def suggest(self, trial: Any, name: str) -> int:
        step = int(self.step)
        return trial.suggest_int(name, int(self.low), int(self.high), step=step, log=self.log)

    def value(self, kept: Any) -> int:
        return int(kept)

    def grid(self, points: int) -> list[int]:
        whole = range(int(self.low), int(self.high) + 1, int(self.step))
        count = self.points or points
        if len(whole) <= count:
            return list(whole)
        return sorted({self.at(share) for share in _shares(count)})

    def at(self, share: float) -> int:
        exact = _between(self.low, self.high, share, self.log)
        steps = round((exact - self.low) / self.step)
        return int(min(self.low + steps * self.step, self.high))

    def holds(self, value: Any) -> bool:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and self.low <= value <= self.high and (value - self.low) % self.step == 0


@dataclass(frozen=True)
class Float:
    """Numbers from low to high.

    >>> [round(value, 6) for value in Float(1e-4, 1e-2, log=True).grid(3)]
    [0.0001, 0.001, 0.01]
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False
    points: int | None = None
    when: When = field(default_factory=dict)

    def __post_init__(self):
        _check("float", self)

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import FloatDistribution

        return FloatDistribution(float(self.low), float(self.high), log=self.log, step=self.step)

    def suggest(self, trial: Any, name: str) -> float:
        ends = float(self.low), float(self.high)
        return trial.suggest_float(name, *ends, step=self.step, log=self.log)

    def value(self, kept: Any) -> float:
        return float(kept)

    def grid(self, points: int) -> list[float]:
        count = self.points or points
        if self.step is not None and self.points is None:
            count = min(points, int((self.high - self.low) / self.step + 1e-9) + 1)
        return list(dict.fromkeys(self.at(share) for share in _shares(count)))

    def at(self, share: float) -> float:
        exact = _between(self.low, self.high, share, self.log)
        if self.step is not None:
            most = int((self.high - self.low) / self.step + 1e-9)
            exact = self.low + min(round((exact - self.low) / self.step), most) * self.step
        return float(min(max(exact, self.low), self.high))

    def holds(self, value: Any) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high


Dimension = Choice | Integer | Float


def label(value: Any) -> Any:
    """What a study keeps of a value: itself, or its JSON."""
    plain = value is None or isinstance(value, bool | int | float | str)
    return value if plain else json.dumps(value)


def same(a: Any, b: Any) -> bool:
    """Equal, and not a number for a truth value."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _check(kind: str, one: Integer | Float) -> None:
    fault = faults(kind, one.low, one.high, one.step, one.log)
    if fault:
        raise ValueError(fault)


def _place(labels: Sequence[Any], kept: Any) -> int:
    return next(place for place, own in enumerate(labels) if same(own, kept))


def _shares(count: int) -> list[float]:
    return [place / (count - 1) for place in range(count)] if count > 1 else [0.5]


def _between(low: float, high: float, share: float, log: bool) -> float:
    if log:
        return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return low + share * (high - low)
