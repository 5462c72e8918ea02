"""From a configuration and prepared data to members: what is built, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.run.model_section import neuron_options, units_of, wiring_dict
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


def member_config(config: Config, prepared: Prepared, model: Any = None) -> dict[str, Any]:
    """What `shoal.neurons.model.build_model` takes, or for an MLP `shoal.neurons.mlp.build`.

    Args:
        model: one of `ensemble.members`; by default the `model` section.

    Raises:
        ValueError: an MLP is to read sequences of different lengths.
    """
    model, scaling = model or config.model, prepared.scaling
    classes = config.data.task == "classification"
    own = {
        "kind": model.kind,
        "input_size": scaling.encoded_size,
        "units": units_of(model),
        **neuron_options(model),
        "output_shape": list(prepared.schema.output_shape),
        "likelihood": "categorical" if classes else model.likelihood,
    }
    if model.kind == "mlp":
        return own | {"input_size": scaling.encoded_size * _length(prepared)}
    wiring = getattr(model, "wiring", None)
    time = {"kind": model.time_scaling, **scaling.time._asdict()}
    return own | {"wiring": None if wiring is None else wiring_dict(wiring), "time_scaling": time}


def _length(prepared: Prepared) -> int:
    """Of all sequences, which must be alike in it."""
    found = {block.x.shape[1] for block in blocks(prepared).values()}
    masked = any(block.mask is not None for block in blocks(prepared).values())
    if masked or len(found) > 1:
        raise ValueError(
            "'mlp' reads a fixed number of values, but these sequences are of different lengths; "
            "take a neuron, such as 'cfc'"
        )
    return found.pop()


def unseen(config: Config, prepared: Prepared) -> list[str]:
    """A sentence where members do not see what the data have: elapsed times that differ."""
    spans = prepared.train.timespans
    if all(model.kind != "mlp" for model in config.models) or np.ptp(spans[:, 1:]) == 0:
        return []
    return ["the times between observations differ, which members of kind 'mlp' do not see"]


def make(config: Config, prepared: Prepared, model: Any = None) -> Callable[[Any], Any]:
    """`make(key) -> member`; of the `model` section, or of one of `ensemble.members`."""
    from shoal.neurons.mlp import build
    from shoal.neurons.model import build_model

    described = member_config(config, prepared, model)
    if described["kind"] == "mlp":
        return lambda key: build(described, key)
    return lambda key: build_model(described, key)


def new_population(config: Config, prepared: Prepared) -> Population:
    """The members that the configuration describes, before training."""
    from shoal.population import Population

    ensemble = config.ensemble
    sharing = ensemble.sharing.model_dump() if ensemble.enabled else None
    makes = [make(config, prepared, model) for model in config.models]
    return Population.init(makes, config.n_members, config.base_seed, sharing=sharing)


def fit_options(config: Config, checkpoints: Path, data_hash: str, force: bool) -> dict[str, Any]:
    """The arguments of `shoal.fit` that the configuration decides."""
    from shoal.population import Checkpoint, Stopping

    training, rule = config.training, config.ensemble.stopping
    every = training.checkpoint
    options = training.model_dump(exclude={"devices", "checkpoint", "loss"})
    options["loss"] = training.criterion
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
