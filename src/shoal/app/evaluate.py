"""`shoal evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from shoal.run.closing import held_out_table
from shoal.run.devices import prepare_jax
from shoal.run.errors import Refused, refusing
from shoal.run.source import Source, find_source


def evaluate(source: Path, data: Path | None, as_json: bool) -> None:
    """Print the collective's scores."""
    found = find_source(source)
    if data is None and found.run is None:
        raise Refused(f"{source}: is a bundle; name the data to score it on with --data FILE")
    prepare_jax(1)
    from shoal.bundle.metadata import plain
    from shoal.run.figures import scores

    crowd = found.load()
    name, block = _block(found, data, crowd.schema)
    with refusing(str(data or source)):
        figures = {"block": name, **scores(crowd, block)}
    typer.echo(json.dumps(plain(figures), indent=2) if as_json else held_out_table(figures, name))


def _block(found: Source, data: Path | None, schema: Any) -> tuple[str, Any]:
    from shoal.data import windows_for_evaluation
    from shoal.run.figures import held_out
    from shoal.run.members import prepare_data

    if data is not None:
        with refusing(str(data)):
            return data.name, windows_for_evaluation(data, schema)
    config = found.config()
    with refusing(config.data.path):
        return held_out(prepare_data(config))
