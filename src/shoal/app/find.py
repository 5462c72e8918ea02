"""`shoal tune --find`: a number for the configuration, by measuring."""

from __future__ import annotations

from pathlib import Path

import typer

from shoal.run.checking import load_config
from shoal.run.devices import host_devices, prepare_jax
from shoal.run.errors import Refused, suggestion
from shoal.tune.finding.asked import PATHS, members_of


def find(
    config: Path | None,
    what: str,
    sets: list[str],
    runs: Path,
    cache: bool,
    resume: str | None = None,
) -> None:
    """Start JAX the right way, look, and print the number and the lines to paste."""
    if config is None:
        raise Refused(f"tune --find {what}: name a configuration; `shoal init` writes one")
    if resume is not None:
        raise Refused(f"tune --find {what}: there is nothing to resume; leave out --resume")
    asked = load_config(config, sets)
    if what not in PATHS:
        raise Refused(f"tune --find: there is no `{what}` to find; {suggestion(what, [*PATHS])}")
    members = members_of(asked)
    prepare_jax(host_devices(asked.training.devices, members), cache)
    typer.echo(f"looking for {PATHS[what]} with {members} members of {asked.name}")
    from shoal.tune.finding.configured import find as look
    from shoal.tune.finding.telling import lines

    for line in lines(look(config, what, sets, runs=runs)):
        typer.echo(line)
