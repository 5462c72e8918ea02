"""Equinox cells and sequence layers of liquid neurons, in JAX."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOMES = {
    "CfC": "cfc",
    "LTC": "ltc",
    "CTRNN": "ctrnn",
    "CTGRU": "ctgru",
    "LSTM": "lstm",
    "GRU": "gru",
    "MLP": "mlp",
    "SequenceModel": "model",
    "Head": "model",
    "TimeScaling": "time_scaling",
    "build_model": "model",
    "describe": "model",
    "from_ncps": "ncps",
    "time_constants": "inspect",
    "trajectories": "inside",
    "effective_time_constants": "inside_time",
    "sensitivities": "inside_gradients",
    "Dropout": "frozen",
    "Frozen": "frozen",
    "partition": "frozen",
    "project_constraints": "frozen",
    "set_dropout": "frozen",
}

if TYPE_CHECKING:
    from shoal.neurons.cfc import CfC
    from shoal.neurons.ctgru import CTGRU
    from shoal.neurons.ctrnn import CTRNN
    from shoal.neurons.frozen import Dropout, Frozen, partition, project_constraints, set_dropout
    from shoal.neurons.gru import GRU
    from shoal.neurons.inside import trajectories
    from shoal.neurons.inside_gradients import sensitivities
    from shoal.neurons.inside_time import effective_time_constants
    from shoal.neurons.inspect import time_constants
    from shoal.neurons.lstm import LSTM
    from shoal.neurons.ltc import LTC
    from shoal.neurons.mlp import MLP
    from shoal.neurons.model import Head, SequenceModel, build_model, describe
    from shoal.neurons.ncps import from_ncps
    from shoal.neurons.time_scaling import TimeScaling

__all__ = ["CTGRU", "CTRNN", "GRU", "LSTM", "LTC", "MLP", "CfC", "Dropout", "Frozen", "Head"]
__all__ += ["SequenceModel", "TimeScaling", "build_model", "describe"]
__all__ += ["effective_time_constants", "from_ncps", "partition", "project_constraints"]
__all__ += ["sensitivities", "set_dropout", "time_constants", "trajectories"]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(f"shoal.neurons.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'shoal.neurons' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
