"""`shoal distill`."""

from __future__ import annotations

from pathlib import Path

from shoal.app.update import showing
from shoal.run.devices import prepare_jax


def distill(
    source: Path,
    data: Path,
    output: Path | None,
    sets: list[str],
    seed: int,
    cache: bool,
    plain: bool,
) -> None:
    """Start JAX the right way, and teach a student."""
    prepare_jax(1, cache)
    from shoal.run.life.distilling import distill as teach

    with showing(plain) as progress:
        teach(source, data, output=output, overrides=sets, seed=seed, progress=progress)
