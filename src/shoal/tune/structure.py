"""Which differences between trials are data of a member, and which ask for a fit of their own.

    a member's own data    learning rate, weight decay, dropout, time scaling, seed
    a member's structure   the rest of `model`: another group of the same fit
    what a fit has once    the rest of `training`, and `data`: another fit

So trials are sorted into fits, and within a fit into structures; the largest come first, so that
no long one is left alone at the end when several work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from shoal.run.schema import Config

OWN_TRAINING = ("learning_rate", "weight_decay", "dropout")
_NOT_OF_A_FIT = (*OWN_TRAINING, "devices", "checkpoint")


def fit_options(config: Config) -> dict[str, Any]:
    """The arguments of `shoal.fit` that all members of a fit have in common."""
    return config.training.model_dump(exclude=set(_NOT_OF_A_FIT))


def fit_key(config: Config) -> str:
    """Equal for trials that can train in one fit."""
    return _text({"data": config.data.model_dump(mode="json"), **fit_options(config)})


def make_key(config: Config) -> str:
    """Equal for trials whose members are made alike."""
    model = config.model.model_dump(mode="json", exclude={"time_scaling"})
    return _text({"data": config.data.model_dump(mode="json"), "model": model})


class Fit(NamedTuple):
    """Trials that train together: their places among those asked for, and what they may cost."""

    places: tuple[int, ...]
    cost: float


def fits(configs: Sequence[Config]) -> list[Fit]:
    """The fits that trials need, the largest first.

    >>> base = {
    ...     "data": {
    ...         "path": "a.csv",
    ...         "time": "t",
    ...         "features": ["x"],
    ...         "targets": ["x"],
    ...         "window": 8,
    ...     },
    ...     "model": {"kind": "cfc"},
    ... }
    >>> other = [{"epochs": 10}, {"epochs": 30}, {"learning_rate": 0.1, "epochs": 10}]
    >>> [fit.places for fit in fits([Config(**base, training=one) for one in other])]
    [(1,), (0, 2)]
    """
    together: dict[str, list[int]] = {}
    for place, config in enumerate(configs):
        together.setdefault(fit_key(config), []).append(place)
    found = [Fit(tuple(own), sum(cost(configs[i]) for i in own)) for own in together.values()]
    return sorted(found, key=lambda one: -one.cost)


def cost(config: Config) -> float:
    """A guess at the work of one member, to order fits by: weights × steps in time × epochs."""
    model, layers = config.model, config.model.num_layers
    units = float(config.units)
    width = float(getattr(model, "backbone_units", None) or (128 if model.kind == "cfc" else 1))
    weights = units * (units + width) * layers * (2 if model.bidirectional else 1)
    unfolds = getattr(model, "ode_unfolds", 1)
    return weights * unfolds * (config.data.window or 1) * config.training.epochs


def _text(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, sort_keys=True, default=str)
