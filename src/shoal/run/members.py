"""From a configuration and prepared data to members: what is built, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.run.model_section import neuron_options, wiring_dict
from shoal.run.schema import Config

if TYPE_CHECKING:
    from shoal.data import Prepared
    from shoal.population import Population


def prepare_data(config: Config) -> Prepared:
    """The blocks that the configuration's `data` section asks for."""
    from shoal.data import prepare

    options = config.data.model_dump(exclude={"path", "split"}, exclude_none=True)
    split = config.data.split.model_dump(exclude_none=True)
    return prepare(config.data.path, split=split or None, **options)


def blocks(prepared: Prepared) -> dict[str, Any]:
    """The blocks that were asked for, by name."""
    names = ("train", "valid", "calibration", "test")
    found = {name: getattr(prepared, name) for name in names}
    return {name: block for name, block in found.items() if block is not None}


def member_config(config: Config, prepared: Prepared) -> dict[str, Any]:
    """What `shoal.neurons.model.build_model` takes."""
    model, scaling = config.model, prepared.scaling
    wiring = getattr(model, "wiring", None)
    classes = config.data.task == "classification"
    return {
        "kind": model.kind,
        "input_size": scaling.encoded_size,
        "units": config.units,
        "wiring": None if wiring is None else wiring_dict(wiring),
        **neuron_options(model),
        "output_shape": list(prepared.schema.output_shape),
        "likelihood": "categorical" if classes else model.likelihood,
        "time_scaling": {"kind": model.time_scaling, **scaling.time._asdict()},
    }


def make(config: Config, prepared: Prepared) -> Callable[[Any], Any]:
    """`make(key) -> member`."""
    from shoal.neurons.model import build_model

    described = member_config(config, prepared)
    return lambda key: build_model(described, key)


def new_population(config: Config, prepared: Prepared) -> Population:
    """The members that the configuration describes, before training."""
    from shoal.population import Population

    ensemble = config.ensemble
    sharing = ensemble.sharing.model_dump() if ensemble.enabled else None
    seed = config.base_seed
    return Population.init(make(config, prepared), config.n_members, seed, sharing=sharing)


def fit_options(config: Config, checkpoints: Path, data_hash: str, force: bool) -> dict[str, Any]:
    """The arguments of `shoal.fit` that the configuration decides."""
    from shoal.population import Checkpoint, Stopping

    training, rule = config.training, config.ensemble.stopping
    every = training.checkpoint
    options = training.model_dump(exclude={"devices", "checkpoint"})
    stopping = None
    if config.ensemble.enabled and rule.enabled:
        stopping = Stopping(**rule.model_dump(exclude={"enabled"}))
    checkpoint = Checkpoint(
        checkpoints,
        every_epochs=every.every_epochs,
        every_seconds=every.every_seconds,
        resume=True,
        data_hash=data_hash,
        force=force,
    )
    regime = config.ensemble.regime.model_dump() if config.ensemble.enabled else "independent"
    return {**options, "stopping": stopping, "regime": regime, "checkpoint": checkpoint}
