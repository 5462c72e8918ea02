"""The search space: a dimension for every path that is searched.

A point of the space is a dictionary from the paths that count at it to their values. The same space
is asked by Optuna's samplers (which know distributions), by a grid (which counts points) and by
swarms (which move in a unit cube).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shoal.run.tune_section import Tune, conditions
from shoal.tune.dimensions import Choice, Dimension, Float, Integer, When, label, same

Point = dict[str, Any]


@dataclass(frozen=True)
class Space:
    """Dimensions by path, those that others depend on first.

    Args:
        dimensions: by path; a plain list is a `Choice`.
        fixed: values of other paths that conditions speak of; `point.get` of them.

    Raises:
        ValueError: no dimensions, or conditions in a circle.

    >>> space = Space({"kind": ["cfc", "ltc"], "unfolds": Integer(2, 6, when={"kind": "ltc"})})
    >>> list(space.grid(2))
    [{'kind': 'cfc'}, {'kind': 'ltc', 'unfolds': 2}, {'kind': 'ltc', 'unfolds': 6}]
    """

    dimensions: Mapping[str, Any]
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if not self.dimensions:
            raise ValueError("the space must have at least one dimension, got none; add one")
        made = {path: _dimension(path, one) for path, one in self.dimensions.items()}
        object.__setattr__(self, "dimensions", _sorted(made))

    @classmethod
    def of(cls, tune: Tune, fixed: Mapping[str, Any] | None = None) -> Space:
        """The space of a `tune` section; `fixed` is the configuration's value of any path."""
        from shoal.run.tune_rules import kind_of

        made = {}
        for path, one in tune.space.items():
            kind, when = kind_of(path, one), conditions(one.when)
            if kind == "categorical":
                made[path] = Choice(one.choices or [], when)
                continue
            low, high = (end if end is not None else 0 for end in (one.low, one.high))
            options: dict[str, Any] = {"log": one.log, "points": one.points, "when": when}
            if kind == "integer":
                made[path] = Integer(int(low), int(high), int(one.step or 1), **options)
            else:
                made[path] = Float(low, high, one.step, **options)
        return cls(made, fixed or {})

    def __len__(self) -> int:
        return len(self.dimensions)

    def is_active(self, path: str, point: Mapping[str, Any]) -> bool:
        """Whether a path counts at a point that has the paths it depends on."""
        for other, wanted in conditions(_lists(self.dimensions[path].when)).items():
            if other in self.dimensions and other not in point:
                return False
            found = point[other] if other in self.dimensions else self.fixed.get(other)
            if not any(same(found, one) for one in wanted):
                return False
        return True

    def suggest(self, trial: Any) -> Point:
        """The point of an Optuna trial, path after path."""
        point: Point = {}
        for path, dimension in self.dimensions.items():
            if self.is_active(path, point):
                point[path] = dimension.suggest(trial, path)
        return point

    def kept(self, point: Mapping[str, Any]) -> Point:
        """A point as a study keeps it."""
        return {path: label(value) for path, value in point.items()}

    def read(self, kept: Mapping[str, Any]) -> Point:
        """The inverse of `kept`."""
        return {path: self.dimensions[path].value(value) for path, value in kept.items()}

    def grid(self, points: int = 5) -> Iterator[Point]:
        """Every combination; ranges have so many points, unless they say how many themselves."""
        paths = list(self.dimensions)

        def rest(place: int, point: Point) -> Iterator[Point]:
            if place == len(paths):
                yield dict(point)
                return
            path = paths[place]
            if not self.is_active(path, point):
                yield from rest(place + 1, point)
                return
            for value in self.dimensions[path].grid(points):
                yield from rest(place + 1, {**point, path: value})

        return rest(0, {})

    def at(self, shares: Sequence[float]) -> Point:
        """The point at a place in the unit cube, one coordinate for each dimension."""
        if len(shares) != len(self):
            raise ValueError(f"`shares` must have {len(self)} coordinates, got {len(shares)}")
        point: Point = {}
        for (path, dimension), share in zip(self.dimensions.items(), shares, strict=True):
            if self.is_active(path, point):
                point[path] = dimension.at(float(share))
        return point

    def holds(self, values: Mapping[str, Any]) -> Point | None:
        """The point with these values, or None where one of them lies outside."""
        point: Point = {}
        for path, dimension in self.dimensions.items():
            if not self.is_active(path, point):
                continue
            if path not in values or not dimension.holds(values[path]):
                return None
            point[path] = values[path]
        return point

    def corners(self) -> Iterator[tuple[str, Any, Point]]:
        """Every end and every choice of each path, with a point that has it."""
        for path, dimension in self.dimensions.items():
            for value in dimension.grid(2):
                point = self._with(path, value)
                if point is not None:
                    yield path, value, point

    def _with(self, path: str, value: Any) -> Point | None:
        """Some point with this value of a path; None where its conditions never hold."""
        parents = self._above(path)
        choices = [self.dimensions[one].grid(2) for one in parents]
        for values in itertools.product(*choices):
            fixed = {**dict(zip(parents, values, strict=True)), path: value}
            point: Point = {}
            for one, dimension in self.dimensions.items():
                if self.is_active(one, point):
                    point[one] = fixed.get(one, dimension.grid(2)[0])
            if path in point:
                return point
        return None

    def _above(self, path: str) -> list[str]:
        own = [other for other in self.dimensions[path].when if other in self.dimensions]
        return list(dict.fromkeys([above for one in own for above in self._above(one)] + own))


def _dimension(path: str, given: Any) -> Dimension:
    if isinstance(given, Choice | Integer | Float):
        return given
    if isinstance(given, list | tuple):
        return Choice(given)
    raise ValueError(
        f"`{path}` must be a Choice, Integer, Float or a list of values, got {type(given).__name__}"
    )


def _sorted(dimensions: Mapping[str, Dimension]) -> dict[str, Dimension]:
    """Those that others depend on first, otherwise in the order given."""
    left, done = dict(dimensions), {}
    while left:
        free = [p for p, d in left.items() if not any(other in left for other in d.when)]
        if not free:
            raise ValueError(f"conditions run in a circle: {', '.join(left)}; break it")
        done[free[0]] = left.pop(free[0])
    return done


def _lists(when: When) -> dict[str, Any]:
    return {path: list(v) if isinstance(v, tuple) else v for path, v in when.items()}
