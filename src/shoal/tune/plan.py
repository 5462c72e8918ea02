"""What is about to be searched: a new folder, or one that is taken up again. Needs no JAX."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shoal.run.checking import check
from shoal.run.errors import Refused
from shoal.run.folder import check_writable
from shoal.run.overrides import Overrides, override
from shoal.run.plan import differences, resolve
from shoal.run.reading import Document, read
from shoal.run.schema import Config
from shoal.run.tune_section import Tune
from shoal.tune import folder as folders
from shoal.tune.addresses import located, shown
from shoal.tune.applying import impossible
from shoal.tune.folder import TuneFolder
from shoal.tune.space import Space

MAY_CHANGE = ("trials", "batch", "seconds", "executor", "compare", "start", "storage", "grace")


@dataclass(frozen=True)
class TunePlan:
    """A search that can start.

    Args:
        folder: where it lives.
        document: what was asked, the data's path absolute.
        config: the configuration in it.
        fresh: whether the folder was made for it just now.
        beside: where users' modules are looked for first: the configuration's own folder.
        force: whether to go on although something changed.
        storage: where a study is kept that other workers share, password and all; only what is
            without it stands in the document and the configuration.
    """

    folder: TuneFolder
    document: Document
    config: Config
    fresh: bool
    beside: Path
    force: bool = False
    storage: str | None = field(default=None, repr=False)

    @property
    def tune(self) -> Tune:
        assert self.config.tune is not None
        return self.config.tune


def new_plan(
    config: str | Path,
    overrides: Overrides = (),
    runs: Path = Path("runs"),
    storage: str | None = None,
) -> TunePlan:
    """A new search, or one more worker on a study that is shared.

    Raises:
        Refused: the configuration, its space, or a path in it is wrong; nothing is left behind.
    """
    document, asked, storage = read_plan(Path(config), overrides, storage)
    check_writable(runs, f"--runs {runs}")
    folder = folders.create(runs, asked.name, document.data)
    beside = Path(config).resolve().parent
    folder.write_record(beside=str(beside))
    return TunePlan(folder, document, asked, fresh=True, beside=beside, storage=storage)


def resumed_plan(
    target: str | Path | None,
    config: str | Path | None = None,
    overrides: Overrides = (),
    runs: Path = Path("runs"),
    force: bool = False,
    storage: str | None = None,
) -> TunePlan:
    """A search that exists; with a configuration beside, one that it must agree with.

    Without a target, the newest of the configuration's name, and a new one if there is none.

    Raises:
        Refused: there is no such search, or what it depends on changed and `force` is False.
    """
    wanted = None if config is None else read_plan(Path(config), overrides, storage)
    if target is None and wanted is not None:
        if not folders.searches_of(runs, wanted[1].name):
            return new_plan(str(config), overrides, runs, storage)
        target = wanted[1].name
    found = folders.find(target, runs)
    saved = check(read(found.config))
    shared = saved.tune.storage if saved.tune else None
    if wanted is None or (wanted[2] is None and shared is not None):
        wanted = read_plan(Path(config or found.config), overrides, storage or shared)
    document, asked, storage = wanted
    _refuse_changes(found, list(_changes(saved, asked)), force)
    if asked != saved:
        folders.files.write_yaml(found.config, document.data)
    beside = Path(found.read_record().get("beside", found.path))
    return TunePlan(found, document, asked, False, beside, force, storage)


def _refuse_changes(found: TuneFolder, changes: list[str], force: bool) -> None:
    """Some never mix with what is there, others unless somebody insists."""
    never = ("tune.space", "tune.objectives", "tune.storage")
    mixed = [change for change in changes if change.startswith(never)]
    if mixed:
        raise Refused(
            [f"{found.config}: {change}" for change in mixed]
            + [f"{found.path}: trials of unlike searches cannot be compared; start a new one"]
        )
    if changes and not force:
        raise Refused(
            [f"{found.config}: {change}" for change in changes]
            + [f"{found.path}: restore what changed, start a new search, or insist with --force"]
        )


def read_plan(
    path: Path, overrides: Overrides = (), storage: str | None = None
) -> tuple[Document, Config, str | None]:
    """The document with the data's path absolute, its configuration, and the shared storage.

    Raises:
        Refused: something is wrong with them, or nothing can be searched.
    """
    config = resolve(path, overrides)
    if config.tune is None:
        raise Refused(
            f"{path}: tune: is missing; add the section with a `space:`, such as "
            "{training.learning_rate: {low: 1.0e-4, high: 0.1, log: true}}"
        )
    storage = _storage_of(config.tune, storage)
    resolved: dict[str, Any] = {"data.path": config.data.path}
    if config.training.loss is not None:
        resolved["training.loss"] = config.training.loss
    if storage is not None:
        resolved["tune.storage"] = shown(storage)
    document = override(override(read(path), overrides), resolved)
    found = list(impossible(document, Space.of(config.tune)))
    if found:
        raise Refused(found)
    tune = config.tune.model_copy(update={"storage": resolved.get("tune.storage")})
    return document, config.model_copy(update={"tune": tune}), storage


def _storage_of(tune: Tune, given: str | None) -> str | None:
    """The shared storage's whole address."""
    where = given or tune.storage
    if where is None:
        return None
    if tune.crowd is not None:
        raise Refused(
            "tune.crowd: a crowd is chosen from members that one worker keeps, and a shared study "
            "has several workers; remove it, or the storage"
        )
    return located(where)


def _changes(saved: Config, wanted: Config) -> Iterator[str]:
    """What differs and matters to trials that are done already."""
    yield from differences(saved.to_dict(), wanted.to_dict())
    before, after = (
        one.tune.model_dump(mode="json") if one.tune else {} for one in (saved, wanted)
    )
    yield from tune_differences(before, after, free=tuple(n for n in MAY_CHANGE if n != "storage"))


def tune_differences(
    before: Mapping[str, Any], after: Mapping[str, Any], free: Sequence[str] = MAY_CHANGE
) -> Iterator[str]:
    """What differs between two `tune` sections and matters to trials that are done already."""
    for name in after:
        if name not in free and before.get(name) != after[name]:
            yield f"tune.{name}: was {_short(before.get(name))}, now {_short(after[name])}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
