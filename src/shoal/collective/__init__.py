"""From many opinions to one: a population with a weighting, and what it answers.

Each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOMES = {
    "Calibration": "shoal.equations.conformal",
    "Collective": "shoal.collective.collective",
    "MixtureOfExperts": "shoal.collective.moe",
    "Prediction": "shoal.equations.prediction",
    "SwitchFFN": "shoal.collective.moe",
}

if TYPE_CHECKING:
    from shoal.collective.collective import Collective
    from shoal.collective.moe import MixtureOfExperts, SwitchFFN
    from shoal.equations.conformal import Calibration
    from shoal.equations.prediction import Prediction

__all__ = ["Calibration", "Collective", "MixtureOfExperts", "Prediction", "SwitchFFN"]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'shoal.collective' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
