"""From sequences with answers to a crowd: split, scaled, trained, weighted, calibrated."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from shoal.collective import Collective, OutOfFold, out_of_fold
from shoal.collective.trained import trained
from shoal.data.scaling import Scaling, fit_scaling
from shoal.data.schema import Schema
from shoal.data.sequences import Sequences
from shoal.neurons import mlp
from shoal.neurons.model import build_model
from shoal.population import Fitted, Population, fit
from shoal.run.crowd import of_those
from shoal.run.folds import without_diverged
from shoal.sklearn.blocks import filled
from shoal.sklearn.settings import Settings
from shoal.weighting import Evidence, Weighting, learns_from, resolve


@dataclass(frozen=True)
class Blocks:
    """Raw sequences, with answers."""

    train: Sequences
    valid: Sequences | None
    calibration: Sequences | None


def needs_valid(weighting: Any) -> bool:
    """Whether a rule learns from validation data; from folds it takes none."""
    return learns_from(resolve(weighting)) == "predictions" and not _folds(weighting)


def _folds(weighting: Any) -> dict[str, Any] | None:
    """How the training samples are folded; None where nothing asks for it."""
    if not isinstance(weighting, dict) or weighting.get("folds") is None:
        return None
    return {name: weighting[name] for name in ("folds", "order", "gap", "seed")}


def train(
    asked: Settings, blocks: Blocks, schema: Schema, seed: int, data_seed: int
) -> tuple[Collective, Fitted]:
    """The crowd that the settings ask for, and what its training left.

    Raises:
        ValueError: no member has a finite loss, or the data cannot be scaled.
    """
    scaling = fit_scaling(blocks.train, schema.features, targets=schema.targets)
    described = _described(asked, blocks.train, scaling, schema)
    population = _members(described, asked.n_models, seed, json.dumps(asked.sharing))
    options = _options(asked, data_seed)
    valid = None
    if blocks.valid is not None:
        valid = filled(scaling.encode_sequences(blocks.valid), 256)
    samples = filled(scaling.encode_sequences(blocks.train), options["batch_size"])
    fitted = fit(population, samples, valid, **options)
    found = None
    if (folds := _folds(asked.weighting)) is not None and fitted.weighting is None:
        found = out_of_fold(
            population, blocks.train, blocks.valid, scaling=scaling, **folds, **options
        )
        fitted = without_diverged(fitted, found)
    crowd = _usable(fitted, scaling, schema)
    crowd = replace(crowd, weighting=_weighting(asked, fitted, crowd, blocks.valid, found))
    if blocks.calibration is not None:
        crowd = crowd.calibrate(blocks.calibration)
    return crowd, fitted


def _options(asked: Settings, data_seed: int) -> dict[str, Any]:
    """Arguments of `shoal.fit`. Nobody is stopped for being behind the others."""
    strategy = "vmap" if asked.kinds == {"mlp"} else "auto"
    own = {"data_seed": data_seed, "stopping": None, "strategy": strategy, "regime": asked.regime}
    return {**asked.options, **own}


@lru_cache(maxsize=8)
def _members(described: str, n_models: int, seed: int, sharing: str) -> Population:
    """New members. Kept for a while: folds of the same data begin with the same ones."""
    makes = [_make(member) for member in json.loads(described)]
    return Population.init(makes, n_models, seed, sharing=json.loads(sharing))


def _make(member: dict[str, Any]) -> Callable[[Any], Any]:
    """`make(key) -> member`."""
    build = mlp.build if member["kind"] == "mlp" else build_model
    return lambda key: build(member, key)


def _described(asked: Settings, train: Sequences, scaling: Scaling, schema: Schema) -> str:
    """The members' whole descriptions as JSON: what was asked for, and what the data decide."""
    common = {"output_shape": schema.output_shape, "likelihood": asked.likelihood}
    return json.dumps(
        [{**member, **common, **_decided(member, train, scaling)} for member in asked.members]
    )


def _decided(member: dict[str, Any], train: Sequences, scaling: Scaling) -> dict[str, Any]:
    """What the data decide of one kind of member."""
    if member["kind"] == "mlp":
        _check_fixed(train)
        return {"input_size": scaling.encoded_size * train.x.shape[1]}
    time = {"kind": member["time_scaling"], **scaling.time._asdict()}
    return {"input_size": scaling.encoded_size, "time_scaling": time}


def _check_fixed(train: Sequences) -> None:
    """An MLP reads a fixed number of numbers, and sees no time."""
    if train.mask is not None:
        found = "these sequences, or windows, are of different lengths"
    elif train.timespans.min() != train.timespans.max():
        found = "these sequences have elapsed times, which it would not see"
    else:
        return
    raise ValueError(
        f"member 'mlp' reads a fixed number of values, but {found}; take a neuron, such as 'cfc'"
    )


def _usable(fitted: Fitted, scaling: Scaling, schema: Schema) -> Collective:
    """The members with a finite loss; those that are left out are named."""
    members = trained(fitted, "uniform", stacklevel=6).members
    return Collective(members, scaling=scaling, schema=schema)


def _weighting(
    asked: Settings,
    fitted: Fitted,
    crowd: Collective,
    valid: Sequences | None,
    found: OutOfFold | None,
) -> Weighting:
    """As the regime needs it, or as the rule finds it."""
    usable = fitted.usable
    if fitted.weighting is not None:
        return resolve(fitted.weighting).select(usable)
    rule = of_those(resolve(asked.weighting), usable)
    if found is not None:
        return rule.fit(found.select(usable).evidence)
    losses = np.array([fitted.status[index]["best_loss"] for index in usable])
    if not needs_valid(asked.weighting):
        return rule.fit(Evidence(losses))
    assert valid is not None
    outputs = crowd.predict(valid).outputs
    return rule.fit(
        Evidence(losses, outputs, valid.y, valid.y_mask, valid.x, valid.timespans, valid.mask)
    )
