"""A crowd that exists: its bundle, what is known of it, and where its successor will stand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.run.errors import Refused, refusing
from shoal.run.folder import check_writable
from shoal.run.source import MANIFEST, find_source

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Scaling, Schema

Make = Callable[[Any], Any]


@dataclass(frozen=True)
class Existing:
    """A bundle and what it holds.

    Attributes:
        path: the bundle.
        crowd: the collective.
        facts: what was kept with it, such as the configuration and the members' losses.
        digest: the SHA-256 of its manifest, which names every other file by its own.
        run: the run whose bundle it is, if any.
        make: what builds members of the user's own kinds.
    """

    path: Path
    crowd: Collective
    facts: dict[str, Any]
    digest: str
    run: Path | None = None
    make: Make | Sequence[Make] | None = None

    @property
    def schema(self) -> Schema:
        return self.crowd.schema

    @property
    def scaling(self) -> Scaling:
        return self.crowd.scaling

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the members' training; empty where nobody knows it."""
        return self.facts.get("training_config") or {}

    @property
    def numbers(self) -> list[int]:
        """What the members are called; runs leave out the numbers of those that failed."""
        members = self.facts.get("members")
        if not members:
            return list(range(self.crowd.n_models))
        return [one["index"] for one in members if one["usable"]]

    def is_as_it_was(self) -> bool:
        """Whether nobody has written to the bundle since it was read."""
        return _digest(self.path) == self.digest


def existing(source: str | Path, make: Make | Sequence[Make] | None = None) -> Existing:
    """The crowd in a bundle, or in the bundle of a run.

    Raises:
        Refused: there is none, it cannot be read, or it cannot read tables.
    """
    found = find_source(source)
    if not (found.bundle / MANIFEST).is_file():
        found.load()  # says why there is none
    from shoal.bundle import load, read_manifest

    with refusing(str(found.bundle)):
        digest = _digest(found.bundle)
        facts = dict(read_manifest(found.bundle).get("info") or {})
        crowd = load(found.bundle, make)
    for name in ("schema", "scaling"):
        if getattr(crowd, name) is None:
            raise Refused(
                f"{found.bundle}: has no {name}, so new data cannot be read for it; save it with "
                f"Collective(..., {name}=...), as `shoal train` does"
            )
    of_run = found.run is not None and found.bundle == found.run.bundle
    run = found.run.path if found.run is not None and of_run else None
    return Existing(found.bundle, crowd, facts, digest, run, make)


def place_for(old: Existing, output: str | Path | None, ending: str | None = None) -> Path:
    """Where a new bundle may be written: `output`, or beside the old one.

    Args:
        ending: what is put behind the old name, as NAME-ENDING; by default a number, NAME-2.

    Raises:
        Refused: something stands there already, or nothing can be written there.
    """
    place = beside(old.path, ending) if output is None else Path(output)
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        same = place.resolve() == old.path.resolve() and old.run is None
        remedy = "write over it with --in-place" if same and ending is None else "name another"
        raise Refused(f"--output {place}: exists already; {remedy}")
    check_writable(place.parent, f"--output {place}")
    return place


def beside(path: Path, ending: str | None = None) -> Path:
    """A name beside `path` that is free: NAME-2, NAME-3, …, or NAME-ENDING, NAME-ENDING-2, …

    >>> beside(Path("nowhere/bundle")), beside(Path("nowhere/bundle-2"))
    (PosixPath('nowhere/bundle-2'), PosixPath('nowhere/bundle-3'))
    >>> beside(Path("nowhere/bundle"), "student")
    PosixPath('nowhere/bundle-student')
    """
    numbered = re.fullmatch(r"(.+)-(\d{1,4})", path.name)
    name, number = (numbered[1], int(numbered[2])) if numbered else (path.name, 1)
    if ending is not None:
        name, number = f"{path.name}-{ending}", 1
        if not path.with_name(name).exists():
            return path.with_name(name)
    while True:
        number += 1
        place = path.with_name(f"{name}-{number}")
        if not place.exists():
            return place


def _digest(bundle: Path) -> str:
    return hashlib.sha256((bundle / MANIFEST).read_bytes()).hexdigest()
