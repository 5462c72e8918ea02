"""YAML with places: every value knows the line it came from.

Plain scalars follow YAML 1.2, in which only `true` and `false` are booleans and 1e-3 is a number;
nothing in a file can name Python objects, keys cannot repeat, and aliases are refused, so that a
file is exactly as large as it looks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shoal.run.errors import Refused, nearest

Key = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WORDS |= {".inf": float("inf"), "-.inf": -float("inf"), ".nan": float("nan")}
_PLAIN = {"str", "int", "float", "bool", "null", "timestamp", "seq", "map", "value"}
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Document:
    """A mapping read from YAML, and the place of every key in it, as shown in messages."""

    data: dict[str, Any]
    places: Mapping[Key, str]
    name: str

    def place(self, key: Key) -> str:
        """Where `key` stands, or where the nearest part of it that exists does."""
        for end in range(len(key), 0, -1):
            if key[:end] in self.places:
                return self.places[key[:end]]
        return self.name


def read(path: str | Path) -> Document:
    """The YAML mapping in a file.

    Raises:
        Refused: the file is missing, no text, no YAML, empty, or no mapping; a key repeats; or a
            tag or an alias stands in it. The message names the line.
    """
    path = Path(path)
    return parse(_text(path), str(path))


def parse(text: str, name: str = "configuration") -> Document:
    """The YAML mapping in a text.

    >>> document = parse("seed: 1\\ntraining: {learning_rate: 1e-3}", "a.yaml")
    >>> document.data
    {'seed': 1, 'training': {'learning_rate': 0.001}}
    >>> document.place(("training", "learning_rate"))
    'a.yaml:2'
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise Refused(_syntax(error, name, text)) from None
    except RecursionError:
        raise Refused(f"{name}: brackets are nested too deeply; flatten them") from None
    if root is None:
        raise Refused(f"{name}: is empty; `shoal init` writes a commented template")
    if not isinstance(root, yaml.MappingNode):
        raise Refused(
            f"{name}:{root.start_mark.line + 1}: the file must be a mapping of sections "
            f"(`data:`, `model:`, ...), found {_kind(root)}; `shoal init` writes a template"
        )
    places: dict[Key, str] = {}
    problems: list[str] = []
    data = _build(root, (), name, places, problems, set())
    if problems:
        raise Refused(problems)
    return Document(data, places, name)


def scalar(text: str) -> Any:
    """The value of a plain scalar.

    >>> [scalar(text) for text in ("3", "1e-3", "true", "yes", "null")]
    [3, 0.001, True, 'yes', None]
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _text(path: Path) -> str:
    if path.is_dir():
        raise Refused(f"{path}: is a folder; name the YAML file in it")
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise Refused(f"{path}: there is no such file; {_neighbour(path)}") from None
    except UnicodeDecodeError as error:
        raise Refused(f"{path}: is no text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def _neighbour(path: Path) -> str:
    """The file beside `path` that may have been meant."""
    folder = path.parent
    if not folder.is_dir():
        return f"nor is there a folder {folder}"
    best = nearest(path.name, sorted(entry.name for entry in folder.iterdir()))
    if best is not None:
        return f"did you mean `{folder / best}`?"
    return "`shoal init` writes a template"


def _syntax(error: yaml.YAMLError, name: str, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if mark is None:
        return f"{name}: is no YAML: {problem}; save it as plain UTF-8 text"
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    place = f"{name}:{mark.line + 1}"
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem:
        return f"{place}: a tab; YAML is indented by spaces, replace it"
    if "single document" in str(error):
        return f"{place}: a second document begins here; keep one, without `---` between"
    if "alias" in str(error):
        return f"{place}: an alias (`*`) that leads nowhere; quote a value that begins with `*`"
    return f"{place}: is no YAML: {problem}; check brackets, quotes and indentation there"


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    value = node.value if len(node.value) <= 40 else node.value[:40] + "..."
    return f"the value {value!r}"


def _build(
    node: yaml.Node,
    key: Key,
    name: str,
    places: dict[Key, str],
    problems: list[str],
    seen: set[int],
) -> Any:
    """The Python value of a node; fills `places` and `problems` on the way."""
    place = f"{name}:{node.start_mark.line + 1}"
    place = places.setdefault(key, place)
    if id(node) in seen:
        problems.append(f"{place}: {dotted(key)}: an alias (`*`); write the value out here")
        return None
    seen.add(id(node))
    if node.tag.removeprefix(_TAG) not in _PLAIN:
        problems.append(
            f"{place}: {dotted(key)}: the tag {_short(node.tag)} is not allowed; "
            "write a plain value without `!`"
        )
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, key, name, places, problems, seen)
    if isinstance(node, yaml.SequenceNode):
        return [
            _build(child, (*key, index), name, places, problems, seen)
            for index, child in enumerate(node.value)
        ]
    return scalar(node.value) if getattr(node, "style", None) is None else node.value


def _mapping(node, key, name, places, problems, seen) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == f"{_TAG}merge":
            problems.append(f"{name}:{line}: {dotted(key)}: a key must be a plain word")
            continue
        word = str(key_node.value)
        path = (*key, word)
        if word in result:
            problems.append(
                f"{name}:{line}: {dotted(path)}: stands here a second time "
                f"(first at line {places[path].rsplit(':', 1)[-1]}); keep one"
            )
            continue
        places[path] = f"{name}:{line}"
        result[word] = _build(value_node, path, name, places, problems, seen)
    return result


def _short(tag: str) -> str:
    return tag.replace(_TAG, "!!")


def dotted(key: Key) -> str:
    """A key as it is written in messages and after `--set`.

    >>> dotted(("data", "features", 1))
    'data.features[1]'
    """
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in key]
    return "".join(parts).lstrip(".") or "(top)"
