"""From sequences with answers to a crowd: split, scaled, trained, weighted, calibrated."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shoal.collective import Collective
from shoal.data.scaling import Scaling, fit_scaling
from shoal.data.schema import Schema
from shoal.data.sequences import Sequences
from shoal.neurons import mlp
from shoal.neurons.model import build_model
from shoal.population import Fitted, Population, fit
from shoal.run.crowd import LEARNS
from shoal.sklearn.blocks import filled
from shoal.sklearn.settings import Settings
from shoal.weighting import Evidence, Weighting, resolve


@dataclass(frozen=True)
class Blocks:
    """Raw sequences, with answers."""

    train: Sequences
    valid: Sequences | None
    calibration: Sequences | None


def learns(weighting: Any) -> bool:
    """Whether a rule needs predictions of validation data."""
    kind = weighting["kind"] if isinstance(weighting, dict) else getattr(weighting, "kind", "")
    return kind in LEARNS


def train(
    asked: Settings, blocks: Blocks, schema: Schema, seed: int, data_seed: int
) -> tuple[Collective, Fitted]:
    """The crowd that the settings ask for, and what its training left.

    Raises:
        ValueError: no member has a finite loss, or the data cannot be scaled.
    """
    scaling = fit_scaling(blocks.train, schema.features, targets=schema.targets)
    size = asked.options["batch_size"]
    population = Population.init(_makes(asked, blocks.train, scaling, schema), asked.n_models, seed)
    valid = None
    if blocks.valid is not None:
        valid = filled(scaling.encode_sequences(blocks.valid), 256)
    fitted = fit(
        population,
        filled(scaling.encode_sequences(blocks.train), size),
        valid,
        data_seed=data_seed,
        stopping=None,
        strategy="vmap" if asked.kinds == {"mlp"} else "auto",
        regime=asked.regime,
        **asked.options,
    )
    crowd = _usable(fitted, scaling, schema)
    crowd = replace(crowd, weighting=_weighting(asked, fitted, crowd, blocks.valid))
    if blocks.calibration is not None:
        crowd = crowd.calibrate(blocks.calibration)
    return crowd, fitted


def _makes(
    asked: Settings, train: Sequences, scaling: Scaling, schema: Schema
) -> list[Callable[[Any], Any]]:
    """One `make(key) -> member` for each kind of member."""
    return [
        _make(dict(member), asked.likelihood, train, scaling, schema) for member in asked.members
    ]


def _make(
    member: dict[str, Any], likelihood: str, train: Sequences, scaling: Scaling, schema: Schema
) -> Callable[[Any], Any]:
    member |= {"output_shape": list(schema.output_shape), "likelihood": likelihood}
    member["input_size"] = scaling.encoded_size
    if member["kind"] == "mlp":
        _check_fixed(train)
        member["input_size"] *= train.x.shape[1]
        return lambda key: mlp.build(member, key)
    member["time_scaling"] = {"kind": member["time_scaling"], **scaling.time._asdict()}
    return lambda key: build_model(member, key)


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
    usable = fitted.usable
    lost = [one for one in fitted.status if not one["usable"]]
    if not usable:
        reasons = "; ".join(sorted({one["reason"] for one in lost}))
        raise ValueError(
            f"no member has a finite loss ({reasons}); lower `learning_rate`, or set `clip_norm`"
        )
    if lost:
        named = ", ".join(f"{one['index']} (seed {one['seed']})" for one in lost)
        warnings.warn(f"left out of the crowd, for want of a finite loss: {named}", stacklevel=5)
        return Collective(fitted.population.select(usable), scaling=scaling, schema=schema)
    return Collective(fitted.population, scaling=scaling, schema=schema)


def _weighting(
    asked: Settings, fitted: Fitted, crowd: Collective, valid: Sequences | None
) -> Weighting:
    """As the regime needs it, or as the rule finds it."""
    usable = fitted.usable
    if fitted.weighting is not None:
        return resolve(fitted.weighting).select(usable)
    rule = resolve(asked.weighting)
    if rule.kind in ("fixed", "time_table"):
        rule = rule.select(usable)
    losses = np.array([fitted.status[index]["best_loss"] for index in usable])
    if not learns(rule):
        return rule.fit(Evidence(losses))
    assert valid is not None
    outputs = crowd.predict(valid).outputs
    return rule.fit(
        Evidence(losses, outputs, valid.y, valid.y_mask, valid.x, valid.timespans, valid.mask)
    )
