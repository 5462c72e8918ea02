"""`shoal init`."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from shoal.run.errors import Refused
from shoal.run.files import write_text
from shoal.run.presets import preset as rendered
from shoal.run.template import Guess, guess_columns, render


def init(config: Path, data: Path | None, force: bool, preset: str | None = None) -> None:
    """Write the template, or a preset, to `config`."""
    if config.is_dir():
        raise Refused(f"{config}: is a folder; name a file in it, such as {config / 'config.yaml'}")
    if config.exists() and not force:
        raise Refused(f"{config}: exists already; choose another name, or replace it with --force")
    guess = Guess()
    if data is not None:
        guess = guess_columns(data)
        relative = os.path.relpath(data, config.parent)
        guess = Guess(**{**vars(guess), "path": Path(relative).as_posix()})
    write_text(config, render(guess) if preset is None else rendered(preset, guess))
    typer.echo(f"wrote {config}; look through it, then: shoal train {config}")
