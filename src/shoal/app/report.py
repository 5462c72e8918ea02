"""`shoal report`."""

from __future__ import annotations

from pathlib import Path

import typer

from shoal.run.devices import prepare_jax
from shoal.run.errors import Refused, refusing
from shoal.run.files import write_text
from shoal.run.source import find_source


def report(run: Path, out: Path | None) -> None:
    """Render the report of a finished run anew."""
    found = find_source(run)
    if found.run is None:
        raise Refused(f"{run}: is a bundle; reports are of runs, name the run")
    if "metadata" not in found.run.read_record():
        raise Refused(
            f"{found.run.path}: is not finished; first: shoal train --resume {found.run.path}"
        )
    config = found.config()
    prepare_jax(1)
    from shoal.report import render
    from shoal.run.members import prepare_data
    from shoal.run.results import report_results

    crowd = found.load()
    with refusing(config.data.path):
        prepared = prepare_data(config)
    target = out or found.run.report
    write_text(target, render(report_results(found.run, config, prepared, crowd)))
    typer.echo(f"wrote {target}")
