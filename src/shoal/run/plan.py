"""What is about to run: a new folder, or one that is taken up again. Nothing here needs JAX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoal.run import folder as folders
from shoal.run.checking import check, load_config
from shoal.run.errors import Refused, nearest
from shoal.run.folder import RunFolder
from shoal.run.importing import check_findable, placed
from shoal.run.overrides import Overrides, override
from shoal.run.reading import dotted, read
from shoal.run.schema import Config

_FREE = ("report", "export", "tune")


@dataclass(frozen=True)
class Plan:
    """A run that can start.

    Args:
        folder: where it lives.
        config: what it does; `data.path` is absolute.
        fresh: whether the folder was made for it just now.
        source: the file that a person would mend, for messages.
        force: whether to go on although something changed.
    """

    folder: RunFolder
    config: Config
    fresh: bool
    source: str
    force: bool = False


def new_plan(config: str | Path, overrides: Overrides = (), runs: Path = Path("runs")) -> Plan:
    """A new run of a configuration.

    Raises:
        Refused: the configuration, or a path in it, is wrong.
    """
    resolved = resolve(Path(config), overrides)
    folders.check_writable(runs, f"--runs {runs}")
    if resolved.export.enabled:
        exports = resolved.export.dir
        folders.check_writable(Path(exports), f"{config}: export.dir: {exports}")
    folder = folders.create(runs, resolved.name, resolved.to_dict())
    return Plan(folder, resolved, fresh=True, source=str(config))


def resumed_plan(
    target: str | Path | None,
    config: str | Path | None = None,
    overrides: Overrides = (),
    runs: Path = Path("runs"),
    force: bool = False,
) -> Plan:
    """A run that exists; with a configuration beside, one that it must agree with.

    Without a target, the newest run of the configuration's name, and a new run if there is none:
    so that one command line serves for the first start and every other.

    Raises:
        Refused: there is no such run, or the configuration changed and `force` is False.
    """
    wanted = None if config is None else resolve(Path(config), overrides)
    if target is None and wanted is not None:
        if not folders.runs_of(runs, wanted.name):
            return new_plan(str(config), overrides, runs)
        target = wanted.name
    found = folders.find(target, runs)
    document = read(found.config)
    saved = check(document)
    if wanted is None:
        wanted = check(override(document, overrides))
    changes = list(differences(saved.to_dict(), wanted.to_dict()))
    if changes and not force:
        raise Refused(
            [f"{found.config}: {change}" for change in changes]
            + [f"{found.path}: restore what changed, start a new run, or insist with --force"]
        )
    if wanted != saved:
        folders.replace_config(found, wanted.to_dict())
    if changes:
        found.write_record(finished=False)
    source = str(config or found.config)
    return Plan(found, wanted, fresh=False, source=source, force=force)


def resolve(path: Path, overrides: Overrides = ()) -> Config:
    """The configuration of a file, with the data's path absolute.

    Raises:
        Refused: besides what is wrong in the file, when there are no data at the path.
    """
    config = load_config(path, overrides)
    data = (path.parent / config.data.path).resolve()
    if not data.is_file():
        place = override(read(path), overrides).place(("data", "path"))
        raise Refused(f"{place}: data.path: {_no_data(data)}")
    changes: dict[str, Any] = {"data": config.data.model_copy(update={"path": str(data)})}
    if config.training.loss is not None and ":" in config.training.loss:
        own = placed(config.training.loss, path.parent)
        changes["training"] = config.training.model_copy(update={"loss": own})
        check_findable(own)
    return config.model_copy(update=changes)


def _no_data(data: Path) -> str:
    if data.is_dir():
        return f"{data} is a folder; name the file in it"
    found = f"there is no file {data}"
    if not data.parent.is_dir():
        return f"{found}, nor its folder; paths are relative to the configuration's own folder"
    best = nearest(data.name, sorted(entry.name for entry in data.parent.iterdir()))
    hint = f"did you mean `{best}`?" if best else "paths are relative to the configuration's folder"
    return f"{found}; {hint}"


def differences(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """What differs between two resolved configurations and touches the numbers, key by key.

    >>> list(differences({"training": {"epochs": 5}}, {"training": {"epochs": 9}}))
    ['training.epochs: was 5, now 9']
    """
    for key in _leaves(saved) | _leaves(wanted):
        before, after = _at(saved, key), _at(wanted, key)
        if before != after and key[0] not in _FREE and key != ("data", "path"):
            yield f"{dotted(key)}: was {_shown(before)}, now {_shown(after)}"


def _shown(value: Any) -> str:
    """A value as a configuration writes it."""
    return {"None": "null", "True": "true", "False": "false"}.get(repr(value), repr(value))


def _leaves(tree: Mapping[str, Any], key: tuple[str, ...] = ()) -> dict[tuple[str, ...], None]:
    found: dict[tuple[str, ...], None] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            found |= _leaves(value, (*key, name))
        else:
            found[(*key, name)] = None
    return found


def _at(tree: Any, key: tuple[str, ...]) -> Any:
    for part in key:
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree
