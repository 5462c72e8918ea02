"""A point of the space laid over a configuration: what a trial is."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from shoal.run.checking import check, validated
from shoal.run.errors import Refused
from shoal.run.overrides import override
from shoal.run.paths import fields_at
from shoal.run.reading import Document
from shoal.run.schema import Config
from shoal.tune.space import Point, Space


def applied(document: Document, point: Mapping[str, Any]) -> Document:
    """The document with a point's values, and without the search.

    Where a point changes a section's `kind`, keys that belonged to the old kind are left out.

    >>> from shoal.run.reading import parse
    >>> base = parse("model: {kind: cfc, units: 8, backbone_units: 16}")
    >>> applied(base, {"model.kind": "lstm"}).data
    {'model': {'kind': 'lstm', 'units': 8}}
    """
    changed = override(document, dict(point))
    data = copy.deepcopy(changed.data)
    data.pop("tune", None)
    for path in point:
        key = tuple(path.split("."))
        if key[-1] == "kind":
            section = _section(data, key[:-1])
            known = fields_at(key[:-1], data)
            for name in [name for name in section if name not in known]:
                if f"{'.'.join(key[:-1])}.{name}" not in point:
                    del section[name]
    return Document(data, changed.places, changed.name)


def config_of(document: Document, point: Mapping[str, Any]) -> Config:
    """The configuration of a trial.

    Raises:
        Refused: the point makes one that cannot be.
    """
    return check(applied(document, point))


def value_at(config: Config, path: str) -> Any:
    """What a configuration says at a path; None where it has no such key.

    >>> config = Config(
    ...     data={"path": "a.csv", "time": "t", "features": ["x"], "targets": ["x"], "window": 8},
    ...     model={"kind": "cfc"},
    ... )
    >>> value_at(config, "training.batch_size"), value_at(config, "model.wiring.units")
    (64, None)
    """
    found: Any = config.model_dump(mode="json")
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def start_of(config: Config, space: Space) -> Point | None:
    """The configuration's own point, None where the space does not hold it."""
    return space.holds({path: value_at(config, path) for path in space.dimensions})


def impossible(document: Document, space: Space) -> Iterator[str]:
    """Ends and choices that no configuration can have, each with the reason."""
    seen: set[tuple[str, str]] = set()
    for path, value, point in space.corners():
        try:
            validated(Config, applied(document, point))
        except Refused as refused:
            for problem in refused.problems:
                _, mark, rule = problem.partition(f"{path}: ")
                place = document.place(("tune", "space", path))
                if mark and (path, repr(value)) not in seen:
                    seen.add((path, repr(value)))
                    yield f"{place}: tune.space.{path}: {value!r} cannot be: {rule}"


def _section(data: Any, key: tuple[str, ...]) -> dict[str, Any]:
    for part in key:
        data = data[part]
    return data
