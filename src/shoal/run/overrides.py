"""`--set training.epochs=5`: values laid over a document before it is checked."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from shoal.run.errors import Refused, nearest
from shoal.run.paths import all_paths
from shoal.run.reading import Document, Key, dotted, parse

Overrides = Sequence[str] | Mapping[str, Any]


def override(document: Document, overrides: Overrides) -> Document:
    """The document with values replaced or added.

    >>> from shoal.run.reading import parse
    >>> changed = override(parse("training: {epochs: 3}"), ["training.epochs=5", "seed=1"])
    >>> changed.data, changed.place(("seed",))
    ({'training': {'epochs': 5}, 'seed': 1}, '--set seed=1')

    Raises:
        Refused: an override is no `path=value`, its path is unknown, or its value is no YAML.
    """
    data = copy.deepcopy(document.data)
    places = dict(document.places)
    problems: list[str] = []
    for key, value, place in _pairs(overrides, problems):
        fault = _fault(key, data)
        if fault:
            problems.append(f"{place}: {fault}")
            continue
        _put(data, key, value)
        for old in [old for old in places if old[: len(key)] == key]:
            del places[old]
        places[key] = place
    if problems:
        raise Refused(problems)
    return Document(data, places, document.name)


def _pairs(overrides: Overrides, problems: list[str]) -> Iterator[tuple[Key, Any, str]]:
    if isinstance(overrides, Mapping):
        for path, value in overrides.items():
            yield tuple(path.split(".")), value, f"override {path}={value!r}"
        return
    for text in overrides:
        place = f"--set {text}"
        path, equals, value = text.partition("=")
        if not equals or not path.strip():
            problems.append(f"{place}: must be path=value, as in --set training.epochs=5")
            continue
        try:
            yield tuple(path.strip().split(".")), _value(value, place), place
        except Refused as error:
            problems.extend(error.problems)


def _value(text: str, place: str) -> Any:
    """A value as YAML would read it after a colon; a `time_format` needs no quotes of its own."""
    if text.startswith("%"):  # which begins no YAML value
        return text
    try:
        return parse(f"value: {text}\n", place).data["value"]
    except (Refused, yaml.YAMLError):
        raise Refused(f"{place}: {text!r} is no YAML value; check brackets and quotes") from None


def _fault(key: Key, data: Any) -> str:
    """Why `key` cannot be set, or nothing."""
    known = all_paths()
    if key in known:
        return ""
    best = nearest(dotted(key), [dotted(path) for path in known])
    same = [dotted(path) for path in known if path[-1] == key[-1]]
    best = same[0] if same and best not in same else best
    hint = f"did you mean `{best}`?" if best else "`shoal init` writes a file with all paths"
    return f"there is no `{dotted(key)}`; {hint}"


def _put(data: dict[str, Any], key: Key, value: Any) -> None:
    for part in key[:-1]:
        inner = data.get(str(part))
        if not isinstance(inner, dict):
            inner = data[str(part)] = {}
        data = inner
    data[str(key[-1])] = value
