"""From a document to a `Config`: every problem found at once, each with its place and remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shoal.run.errors import Refused, nearest, suggestion
from shoal.run.members_section import spelled_out
from shoal.run.overrides import Overrides, override
from shoal.run.paths import all_paths, fields_at, models_at, tags
from shoal.run.reading import Document, Key, dotted, read
from shoal.run.schema import Config, problems

S = TypeVar("S", bound=BaseModel)


def load_config(path: Any, overrides: Overrides = ()) -> Config:
    """The configuration in a file, with overrides on top.

    Args:
        path: a YAML file.
        overrides: `"training.epochs=5"` texts, or a mapping from such paths to values.

    Raises:
        Refused: with one line per problem: place, key, rule, what was found, what to do.
    """
    return check(override(read(path), overrides))


def validated(section: type[S], document: Document) -> S:
    """The section in a document whose keys are a configuration's, or every reason why not."""
    try:
        return section.model_validate(document.data)
    except ValidationError as error:
        raise Refused(_messages(error, document)) from None


def check(document: Document) -> Config:
    """The configuration in a document, or every reason why it is none."""
    document = replace(document, data=spelled_out(document.data))
    config = validated(Config, document)
    found = [f"{document.place(key)}: {dotted(key)}: {text}" for key, text in problems(config)]
    if found:
        raise Refused(found)
    return config


def _messages(error: ValidationError, document: Document) -> list[str]:
    together: dict[Key, list[ErrorDetails]] = {}
    for one in error.errors(include_url=False):
        together.setdefault(_real_key(one["loc"], document.data), []).append(one)
    order = {key: number for number, key in enumerate(document.places)}
    keys = sorted(together, key=lambda key: order.get(key, order.get(key[:-1], 0)))
    return [_message(key, together[key], document) for key in keys]


def _message(key: Key, found: Sequence[ErrorDetails], document: Document) -> str:
    """The line for one key; a union reports one error for each type it might have been."""
    one, kind = found[0], found[0]["type"]
    if kind == "missing":
        text = f"is required; {_how_to_add(key, document)}"
    elif kind == "extra_forbidden":
        text = f"unknown key; {_meant(key, document.data)}"
    elif kind == "union_tag_not_found":
        key = (*key, "kind")
        text = f"is required; choose from {', '.join(_kinds(key))}"
    elif kind == "union_tag_invalid":
        key = (*key, "kind")
        tag = str(one.get("ctx", {}).get("tag", ""))
        text = f"there is no {tag!r}; {suggestion(tag, _kinds(key))}"
    else:
        rules = " or ".join(_rule(each).removeprefix("must be ") for each in found)
        rules = f"must be {rules}" if _rule(one).startswith("must be ") else rules
        text = f"{rules}, found {_shown(one['input'])}{_remedy(found[-1])}"
    return f"{document.place(key)}: {dotted(key)}: {text}"


_RULES = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "list_type": "must be a list",
    "model_type": "must be a section of keys",
    "dict_type": "must be a section of keys",
    "model_attributes_type": "must be a section of keys",
    "finite_number": "must be a finite number",
    "string_too_short": "must not be empty",
    "none_required": "must be null",
}
_BOUNDS = {
    "greater_than": ("must be above {}", "gt"),
    "greater_than_equal": ("must be at least {}", "ge"),
    "less_than": ("must be below {}", "lt"),
    "less_than_equal": ("must be at most {}", "le"),
    "too_short": ("must have at least {} entry", "min_length"),
}


def _rule(one: ErrorDetails) -> str:
    kind, ctx = one["type"], one.get("ctx", {})
    if kind in _BOUNDS:
        text, name = _BOUNDS[kind]
        return text.format(f"{ctx[name]:g}")
    if kind == "literal_error":
        return f"must be {ctx['expected']}"
    if kind == "string_pattern_mismatch" and ":" in ctx.get("pattern", ""):
        return "must be `module:function`"
    if kind == "string_pattern_mismatch":
        return "must be made of letters, digits, `_`, `-` and `.`, and begin with one of the first"
    return _RULES.get(kind, one["msg"])


def _remedy(one: ErrorDetails) -> str:
    kind, found = one["type"], one["input"]
    if kind == "literal_error" and isinstance(found, str):
        choices = [
            c.strip(" '")
            for c in one.get("ctx", {}).get("expected", "").replace(" or ", ",").split(",")
        ]
        best = nearest(found, choices)
        return f"; did you mean `{best}`?" if best else "; choose one of them"
    if kind == "bool_type" and isinstance(found, str):
        meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(found.lower())
        return f"; write `{meant}`" if meant else "; write `true` or `false`"
    if kind == "list_type":
        return f"; write `[{found}]`" if isinstance(found, str | int | float) else "; use [a, b]"
    if kind.startswith("model_") or kind == "dict_type":
        return "; write its keys on indented lines below, or leave the section out"
    if kind == "string_type":
        return f'; put it in quotes: "{found}"' if isinstance(found, int | float) else ""
    if kind in ("int_type", "float_type") and isinstance(found, str):
        return "; write it as digits, without quotes or units"
    if kind == "int_type" and isinstance(found, float) and found.is_integer():
        return f"; write `{int(found)}`"
    if kind in ("greater_than", "greater_than_equal", "too_short"):
        return "; raise it" if kind != "too_short" else "; add one"
    return "; lower it" if kind.startswith("less_than") else "; change it"


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, dict) else "a section"
    text = {"None": "null (nothing)", "True": "true", "False": "false"}.get(text, text)
    return text if len(text) <= 60 else text[:57] + "..."


def _kinds(key: Key) -> list[str]:
    return [tag for model in models_at(key[:-1]) for tag in tags(model)]


def _how_to_add(key: Key, document: Document) -> str:
    parent, name = key[:-1], str(key[-1])
    siblings: Any = document.data
    for part in parent:
        siblings = siblings[part]
    known = fields_at(parent, document.data)
    strangers = [word for word in siblings if word not in known]
    twin = nearest(name, strangers)
    if twin is not None:
        return f"rename `{twin}` to `{name}`"
    field = known.get(name)
    what = f" ({field.description})" if field is not None and field.description else ""
    return f"add `{name}:`{what}"


def _meant(key: Key, data: dict[str, Any]) -> str:
    word = str(key[-1])
    known = fields_at(key[:-1], data)
    best = nearest(word, list(known))
    if best is not None:
        return f"did you mean `{best}`?"
    owners = [model for model in models_at(key[:-1]) if word in model.model_fields]
    if owners:
        kinds = " or ".join(f"`{tag}`" for model in owners for tag in tags(model))
        return f"it belongs to kind {kinds}; remove it or change the kind"
    elsewhere = [path for path in all_paths() if path[-1] == word]
    if elsewhere:
        return "it belongs to " + " or ".join(f"`{dotted(path)}`" for path in elsewhere[:3])
    return "this section knows " + ", ".join(f"`{name}`" for name in known)


def _real_key(location: tuple[int | str, ...], data: Any) -> Key:
    """The location without the tags of unions that pydantic weaves in."""
    key: list[str | int] = []
    for part in location:
        if isinstance(data, dict) and part not in data and data.get("kind") == part:
            continue
        if not isinstance(data, dict | list):
            break
        key.append(part)
        inside = part in data if isinstance(data, dict) else isinstance(part, int)
        data = data[part] if inside else None  # type: ignore[index]
    return tuple(key)
