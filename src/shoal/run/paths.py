"""The schema as a tree of paths: what may stand where in a configuration."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from shoal.run.reading import Key
from shoal.run.schema import Config


def models_at(key: Key, data: Any = None) -> list[type[BaseModel]]:
    """The sections that may stand at `key`; `data` tells which kind was chosen."""
    found: list[type[BaseModel]] = [Config]
    named: list[type[BaseModel]] = []
    for part in key:
        data = _at(data, part)
        if named:  # this part of the key is a name of the user's own
            found, named = _chosen(named, data), []
            continue
        fields = [model.model_fields[str(part)] for model in found if part in model.model_fields]
        named = [model for field in fields for model in _named_sections(field.annotation)]
        found = [model for field in fields for model in _sections(field.annotation)]
        found = _chosen(list(dict.fromkeys(found)), data)
    return found


def _chosen(models: list[type[BaseModel]], data: Any) -> list[type[BaseModel]]:
    """Those that a section's `kind` chooses, all where it chooses none."""
    kind = data.get("kind") if isinstance(data, dict) else None
    return [model for model in models if kind in tags(model)] or models


def _at(data: Any, part: int | str) -> Any:
    if isinstance(data, dict):
        return data.get(part)
    inside = isinstance(data, list) and isinstance(part, int) and part < len(data)
    return data[part] if inside else None  # type: ignore[index]


def fields_at(key: Key, data: Any) -> dict[str, FieldInfo]:
    """What may stand in the section at `key`, by name."""
    models = models_at(key, data)
    return {name: field for model in models for name, field in model.model_fields.items()}


def tags(model: type[BaseModel]) -> tuple[Any, ...]:
    """The values of `kind` that choose this section."""
    field = model.model_fields.get("kind")
    return typing.get_args(field.annotation) if field is not None else ()


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The section classes inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        for part in typing.get_args(annotation):
            yield from _sections(part)


def _named_sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The section classes that a mapping holds under names of the user's own, or a list."""
    if typing.get_origin(annotation) in (dict, list):
        yield from _sections(typing.get_args(annotation)[-1])
    else:
        for part in typing.get_args(annotation):
            yield from _named_sections(part)


def all_paths() -> list[Key]:
    """Every key that a configuration may have."""
    paths: dict[Key, None] = {}

    def walk(models: list[type[BaseModel]], key: Key) -> None:
        for model in models:
            for name, field in model.model_fields.items():
                paths[(*key, name)] = None
                walk(list(_sections(field.annotation)), (*key, name))

    walk([Config], ())
    return list(paths)
