"""`shoal info`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from shoal.run.closing import closing_table
from shoal.run.errors import refusing
from shoal.run.folder import RunFolder
from shoal.run.life.record import history_lines
from shoal.run.model_section import units_of
from shoal.run.source import find_source


def info(source: Path) -> None:
    """Print what a run or a bundle holds; nothing of it is loaded."""
    found = find_source(source)
    if found.run is not None and found.bundle != source:
        lines = list(run_lines(found.run, found.config()))
    else:
        lines = list(bundle_lines(found.bundle))
    typer.echo("\n".join(lines))


def run_lines(run: RunFolder, config: Any) -> Iterator[str]:
    """A run: its state, its configuration in short, and its closing table."""
    record = run.read_record()
    checkpoints = sorted(path.name for path in run.checkpoints.glob("epoch-*"))
    state = f"at {checkpoints[-1]}" if checkpoints else "not begun"
    yield f"run       {run.path} ({'finished' if record.get('finished') else state})"
    yield f"data      {config.data.path} ({config.data.task})"
    made = "; ".join(dict.fromkeys(f"{m.kind}, {units_of(m)} units" for m in config.models))
    yield f"model     {made}, {config.n_members} members"
    for name, path in (("report", run.report), ("bundle", run.bundle)):
        if path.exists():
            yield f"{name:<9} {path}"
    if "metadata" in record:
        yield ""
        yield closing_table(record["metadata"])
    elif not record.get("finished"):
        yield f"go on     shoal train --resume {run.path}"


def bundle_lines(bundle: Path) -> Iterator[str]:
    """A bundle: its manifest in short."""
    from shoal.bundle import read_manifest

    with refusing(str(bundle)):
        manifest = read_manifest(bundle)
    yield f"bundle    {bundle}"
    facts = manifest.get("info") or {}
    for name, value in manifest.items():
        if name != "info":
            text = json.dumps(value)
            yield f"{name:<12} {text if len(text) <= 100 else text[:97] + '...'}"
    yield from history_lines(facts)
    if "members" in facts:
        yield ""
        yield closing_table(facts)
