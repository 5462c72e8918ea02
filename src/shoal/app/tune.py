"""`shoal tune`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from shoal.app.shell import NEWEST, plain_streams
from shoal.run.devices import host_devices, prepare_jax
from shoal.run.errors import Refused
from shoal.run.progress import Lines, Live
from shoal.tune.plan import TunePlan, new_plan, resumed_plan


def tune(
    config: Path | None,
    sets: list[str],
    resume: str | None,
    force: bool,
    runs: Path,
    cache: bool,
    plain: bool,
    storage: str | None = None,
) -> None:
    """Plan, start JAX the right way, and search."""
    if find_spec("optuna") is None:
        raise Refused("tune: needs Optuna; install it: pip install 'shoal[tune]'")
    plan = _plan(config, sets, resume, force, runs, storage)
    devices = _devices(plan)
    prepare_jax(devices, cache)
    plan.folder.write_record(devices=devices)
    from shoal.tune.tuning import execute

    execute(plan, Lines if plain or plain_streams() else Live)


def _plan(
    config: Path | None,
    sets: list[str],
    resume: str | None,
    force: bool,
    runs: Path,
    storage: str | None,
) -> TunePlan:
    if resume is None:
        if config is None:
            raise Refused("tune: name a configuration; `shoal init` writes one")
        return new_plan(config, sets, runs, storage)
    target = None if resume == NEWEST else resume
    return resumed_plan(target, config, sets, runs, force, storage)


def _devices(plan: TunePlan) -> int:
    """As many as the search began with, since results depend on it in their last bits."""
    asked = plan.config.training.devices
    before = plan.folder.read_record().get("devices")
    if asked == "auto" and before is not None:
        return int(before)
    return host_devices(asked, plan.tune.batch or 64)
