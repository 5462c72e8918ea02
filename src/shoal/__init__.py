"""Shoal: populations of neural models, trained, combined and deployed as one program.

The names below are the front door; each is imported when it is first used, so that
`import shoal` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from shoal._version import __version__

_HOMES = {
    "CfC": "shoal.neurons",
    "LTC": "shoal.neurons",
    "CTRNN": "shoal.neurons",
    "CTGRU": "shoal.neurons",
    "LSTM": "shoal.neurons",
    "GRU": "shoal.neurons",
    "SequenceModel": "shoal.neurons",
    "Head": "shoal.neurons",
    "from_ncps": "shoal.neurons",
    "Population": "shoal.population",
    "fit": "shoal.population",
    "Fitted": "shoal.population",
    "Stopping": "shoal.population",
    "Collective": "shoal.collective",
    "save": "shoal.bundle",
    "load": "shoal.bundle",
}
_MODULES = ("wirings", "equations", "neurons", "data", "score", "population", "weighting")
_MODULES += ("collective", "bundle", "swarm", "report", "run")

if TYPE_CHECKING:
    from shoal.bundle import load, save
    from shoal.collective import Collective
    from shoal.neurons import CTGRU, CTRNN, GRU, LSTM, LTC, CfC, Head, SequenceModel, from_ncps
    from shoal.population import Fitted, Population, Stopping, fit

__all__ = ["CTGRU", "CTRNN", "GRU", "LSTM", "LTC", "CfC", "Collective", "Fitted", "Head"]
__all__ += ["Population", "SequenceModel", "Stopping", "__version__", "fit", "from_ncps"]
__all__ += ["load", "save"]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _MODULES:
        return import_module(f"shoal.{name}")
    raise AttributeError(f"module 'shoal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
