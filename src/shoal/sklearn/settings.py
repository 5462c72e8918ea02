"""An estimator's parameters, checked by the rules of the configuration file.

Whatever a YAML file may say of members, regimes, weightings and training, a parameter may say, by
the same names and with the same bounds; what makes no sense together is refused in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np

from shoal.equations.checks import require_positive
from shoal.run.checking import validated
from shoal.run.ensemble_rules import ensemble_rules
from shoal.run.ensemble_section import Ensemble
from shoal.run.errors import Refused, suggestion
from shoal.run.model_section import (
    Activation,
    Initializer,
    Model,
    Neuron,
    neuron_options,
    wiring_dict,
    wiring_units,
)
from shoal.run.reading import Document, dotted
from shoal.run.sections import Count, Rate, Section, Training

NEURONS = ("cfc", "ltc", "ctrnn", "ctgru", "lstm", "gru")
_TRAINING = ("epochs", "batch_size", "learning_rate", "weight_decay", "dropout", "optimizer")
_TRAINING += ("schedule", "clip_norm", "loss", "patience")
_SECTIONS = re.compile(r"\b(training|ensemble|model)\.(?=[a-z])")


class MLPSection(Section):
    """A multi-layer perceptron."""

    kind: Literal["mlp"]
    units: Count | None = None
    num_layers: Count | None = None
    activation: Activation = "relu"
    dropout: Rate = 0.0
    initializer: Initializer | None = None


class _MLPs(Section):
    model: MLPSection


class _Neurons(Section):
    model: Model


class _Rest(Section):
    training: Training
    ensemble: Ensemble


@dataclass(frozen=True)
class Settings:
    """What was asked for, checked.

    `members` are descriptions but for what the data decide; `options` are arguments of `shoal.fit`.
    """

    n_models: int
    members: tuple[dict[str, Any], ...]
    regime: Any
    weighting: Any
    sharing: dict[str, Any]
    likelihood: str
    options: dict[str, Any]

    @property
    def kinds(self) -> set[str]:
        return {member["kind"] for member in self.members}


def settings(owner: str, params: Mapping[str, Any], task: str, *, sequential: bool) -> Settings:
    """The parameters of the estimator `owner`.

    Args:
        owner: the estimator's name, for messages.
        params: of `get_params`.
        task: "regression" or "classification".
        sequential: whether X holds sequences.

    Raises:
        ValueError: a parameter that cannot be, or parameters that do not go together.
    """
    asked = _plain(params)
    try:
        require_positive(width=asked["width"], layers=asked["layers"])
        return _settings(owner, asked, task, sequential)
    except Refused as error:
        raise ValueError(_SECTIONS.sub("", str(error))) from None


def _settings(owner: str, asked: dict[str, Any], task: str, sequential: bool) -> Settings:
    regime, weighting, sharing = (
        _named(asked[name]) for name in ("regime", "weighting", "sharing")
    )
    sections = {
        "training": {name: asked[name] for name in _TRAINING if name in asked},
        "ensemble": {
            "enabled": True,
            "n_models": asked["n_models"],
            **({"regime": regime} if isinstance(regime, dict) else {}),
            **({"weighting": weighting} if isinstance(weighting, dict) else {}),
            **({} if sharing is None else {"sharing": sharing}),
        },
    }
    checked = validated(_Rest, Document(sections, {}, owner))
    regime = checked.ensemble.regime.model_dump() if isinstance(regime, dict) else regime
    written = isinstance(weighting, dict)
    weighting = checked.ensemble.weighting.model_dump() if written else weighting
    likelihood = _likelihood(asked, _kind(regime), _kind(weighting), task)
    _check_rules(owner, checked, likelihood, task)
    options = checked.training.model_dump(include=set(_TRAINING))
    members = tuple(_member(owner, one, asked, sequential) for one in _listed(asked["member"]))
    shared = checked.ensemble.sharing.model_dump()
    if sharing is not None and len({one["kind"] for one in members}) > 1:
        raise Refused(
            f"{owner}: sharing: members of several kinds have no matrices in common; take one kind"
        )
    return Settings(
        checked.ensemble.n_models, members, regime, weighting, shared, likelihood, options
    )


def _check_rules(owner: str, checked: _Rest, likelihood: str, task: str) -> None:
    """The rules that tie a configuration's sections together."""
    config = SimpleNamespace(
        training=checked.training,
        ensemble=checked.ensemble,
        model=SimpleNamespace(likelihood=likelihood),
        data=SimpleNamespace(task=task),
        n_members=checked.ensemble.n_models,
        base_seed=0,
    )
    found = [f"{owner}: {dotted(key)}: {text}" for key, text in ensemble_rules(config)]  # type: ignore[arg-type]
    loss = checked.training.loss
    if loss is not None and (loss == "cross_entropy") != (task == "classification"):
        found.append(f"{owner}: loss: {loss!r} does not fit {task}; use None")
    elif loss is not None and (loss == "normal_nll") != (likelihood == "normal"):
        found.append(f"{owner}: loss: {loss!r} does not fit likelihood={likelihood!r}; use None")
    if found:
        raise Refused(found)


def _likelihood(asked: Mapping[str, Any], regime: str, weighting: str, task: str) -> str:
    """What members answer: a normal distribution, unless what was asked for needs points."""
    if task == "classification":
        return "categorical"
    given = asked["likelihood"]
    if given not in ("auto", "normal", "point"):
        raise Refused(f"likelihood: must be 'auto', 'normal' or 'point', found {given!r}")
    if given != "auto":
        return given
    needs_points = regime == "gradient_boosting" or weighting == "inverse_loss"
    return "point" if needs_points or asked["loss"] in ("mse", "mae", "huber") else "normal"


def _member(owner: str, given: Any, asked: Mapping[str, Any], sequential: bool) -> dict[str, Any]:
    """A member's description but for what the data decide."""
    given = {"kind": given} if isinstance(given, str) else given
    kind = given.get("kind") if isinstance(given, Mapping) else None
    if kind == "auto":
        given = {**given, "kind": (kind := "cfc" if sequential else "mlp")}
    if kind not in ("mlp", *NEURONS):
        known = ("auto", "mlp", *NEURONS)
        raise Refused(f"{owner}: member: there is no {kind!r}; {suggestion(str(kind), known)}")
    document = Document({"model": dict(given)}, {}, owner)
    model = validated(_MLPs if kind == "mlp" else _Neurons, document).model
    wiring = getattr(model, "wiring", None)
    layers = model.num_layers if "num_layers" in given else asked["layers"]
    described = model.model_dump() if kind == "mlp" else neuron_options(model)  # type: ignore[arg-type]
    described |= {"kind": kind, "num_layers": layers or (2 if kind == "mlp" else 1)}
    described["units"] = model.units or asked["width"] or (64 if kind == "mlp" else 32)
    if wiring is not None:
        described |= {"wiring": wiring_dict(wiring), "units": wiring_units(wiring)}
    if isinstance(model, Neuron):
        described["time_scaling"] = model.time_scaling
    return described


def _listed(member: Any) -> list[Any]:
    listed = list(member) if isinstance(member, list | tuple) else [member]
    if not listed:
        raise Refused("member: names no kind of member; name one, such as 'mlp'")
    return listed


def _named(given: Any) -> Any:
    """The dict that a name stands for; objects are left as they are."""
    if isinstance(given, Mapping):
        return dict(given)
    return {"kind": given} if isinstance(given, str) else given


def _kind(rule: Any) -> str:
    return rule["kind"] if isinstance(rule, dict) else str(getattr(rule, "kind", ""))


def _plain(value: Any) -> Any:
    """NumPy's numbers, which searches over parameters bring, as Python's."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value
