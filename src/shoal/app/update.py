"""`shoal update`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from shoal.app.shell import plain_streams
from shoal.run.devices import host_devices, prepare_jax
from shoal.run.errors import Refused, refusing
from shoal.run.progress import Lines, Live, Progress
from shoal.run.source import MANIFEST, find_source


def update(
    source: Path,
    data: Path,
    add: int | None,
    replace: str | None,
    retrain: str | None,
    output: Path | None,
    in_place: bool,
    sets: list[str],
    seed: int | None,
    cache: bool,
    plain: bool,
) -> None:
    """Start JAX the right way, and bring the crowd up to date."""
    prepare_jax(host_devices("auto", members(source) + (add or 0)), cache)
    from shoal.run.life.updating import update as bring_up_to_date

    with showing(plain) as progress:
        bring_up_to_date(
            source,
            data,
            add=add,
            replace=replace,
            retrain=retrain,
            output=output,
            in_place=in_place,
            overrides=sets,
            seed=seed,
            progress=progress,
        )


def members(source: Path) -> int:
    """How many a bundle has; nothing of it is loaded.

    Raises:
        Refused: there is no bundle.
    """
    from shoal.bundle import read_manifest

    bundle = find_source(source).bundle
    if not (bundle / MANIFEST).is_file():
        raise Refused(
            f"{bundle}: there is no bundle yet; "
            f"finish the run with: shoal train --resume {bundle.parent}"
        )
    with refusing(str(bundle)):
        return int(read_manifest(bundle)["n_models"])


@contextmanager
def showing(plain: bool) -> Iterator[Progress]:
    """What a person sees; an interruption says that nothing was written."""
    progress: Progress = Lines() if plain or plain_streams() else Live()
    try:
        yield progress
    except KeyboardInterrupt:
        progress.close()
        typer.echo("stopped; nothing was written", err=True)
        raise
    finally:
        progress.close()
