"""`shoal export`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from shoal.run.devices import prepare_jax
from shoal.run.errors import Refused, refusing, suggestion
from shoal.run.source import Source, find_source

TARGETS = ("stablehlo", "mlx", "torch", "onnx")


def export(
    source: Path,
    name: str | None,
    folder: Path | None,
    every: bool,
    pickle: bool,
    to: str = "stablehlo",
    length: int | None = None,
) -> None:
    """Write the export set of a run or a bundle, for one kind of runtime."""
    _check(to, every, pickle, length)
    found = find_source(source)
    folder = folder or Path("exported_models")
    if to == "stablehlo":
        files = _stablehlo(found, source, folder, name, every, pickle)
    elif to == "onnx":
        files = _onnx(found, folder, name, length)
    else:
        files = _members(found, folder, name, to, every)
    for file in files:
        typer.echo(str(file))


def _check(to: str, every: bool, pickle: bool, length: int | None) -> None:
    if to not in TARGETS:
        raise Refused(f"--to {to}: there is no such target; {suggestion(to, TARGETS)}")
    if pickle and to != "stablehlo":
        raise Refused(f"--pickle: is for --to stablehlo, not for {to}; leave it out")
    if every and to == "onnx":
        raise Refused("--all: an ONNX file holds the whole crowd with every member's answer")
    if length is not None and to != "onnx":
        raise Refused(f"--length: is for --to onnx, not for {to}; leave it out")


def _stablehlo(
    found: Source, source: Path, folder: Path, name: str | None, every: bool, pickle: bool
) -> list[Path]:
    prepare_jax(1)
    crowd, facts = found.load(), _facts(found)
    from shoal.bundle.export import export as write
    from shoal.run.outputs import usable

    with refusing(str(source)):
        return write(
            crowd,
            folder,
            name or facts["name"],
            metadata=facts,
            numbers=usable(facts),
            every=every,
            pickle=pickle,
        )


def _members(found: Source, folder: Path, name: str | None, to: str, every: bool) -> list[Path]:
    facts = _facts(found)
    from shoal.run.outputs import usable

    with refusing(str(found.bundle)), _needing(to):
        if to == "torch":
            from shoal.torch.loading import export_members
        else:
            from shoal.mlx.loading import export_members
        return export_members(
            found.bundle,
            folder,
            name or facts["name"],
            best=facts["best_model_index"],
            numbers=usable(facts),
            every=every,
        )


def _onnx(found: Source, folder: Path, name: str | None, length: int | None) -> list[Path]:
    name = str(name or _facts(found)["name"])
    with refusing(str(found.bundle)), _needing("onnx"):
        from shoal.torch.onnx import export_bundle

        return [export_bundle(found.bundle, folder, name, length=length)]


@contextmanager
def _needing(to: str) -> Iterator[None]:
    """A framework that is not installed is refused, with the extra that brings it."""
    try:
        yield
    except ImportError as error:
        if "shoal[" not in str(error):
            raise
        raise Refused(f"--to {to}: {error}") from error


def _facts(found: Source) -> dict[str, Any]:
    """The run's metadata, which its bundle carries."""
    from shoal.bundle import read_manifest

    with refusing(str(found.bundle)):
        facts = read_manifest(found.bundle).get("info") or {}
    if "members" not in facts:
        raise Refused(
            f"{found.bundle}: does not say how its members did; "
            "use shoal.bundle.export.export with metadata of your own"
        )
    return {key: value for key, value in facts.items() if key != "files"}
