"""`shoal export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from shoal.run.devices import prepare_jax
from shoal.run.errors import Refused, refusing
from shoal.run.source import Source, find_source


def export(source: Path, name: str | None, folder: Path | None, every: bool, pickle: bool) -> None:
    """Write the export set of a run or a bundle."""
    found = find_source(source)
    prepare_jax(1)
    crowd, facts = found.load(), _facts(found)
    from shoal.bundle.export import export as write
    from shoal.run.outputs import usable

    with refusing(str(source)):
        files = write(
            crowd,
            folder or Path("exported_models"),
            name or facts["name"],
            metadata=facts,
            numbers=usable(facts),
            every=every,
            pickle=pickle,
        )
    for file in files:
        typer.echo(str(file))


def _facts(found: Source) -> dict[str, Any]:
    """The run's metadata, which its bundle carries."""
    from shoal.bundle import read_manifest

    facts = read_manifest(found.bundle).get("info") or {}
    if "members" not in facts:
        raise Refused(
            f"{found.bundle}: does not say how its members did; "
            "use shoal.bundle.export.export with metadata of your own"
        )
    return {key: value for key, value in facts.items() if key != "files"}
