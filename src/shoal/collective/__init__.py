"""From many opinions to one: a population with a weighting, and what it answers.

Each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOMES = {
    "Calibration": "shoal.equations.conformal",
    "Collective": "shoal.collective.collective",
    "ConsensusNetwork": "shoal.collective.consensus",
    "MixtureOfExperts": "shoal.collective.moe",
    "Prediction": "shoal.equations.prediction",
    "RelevanceScorer": "shoal.collective.relevance",
    "SwarmTokenAllocation": "shoal.collective.allocation",
    "SwitchFFN": "shoal.collective.moe",
    "VotingLayer": "shoal.collective.voting",
    "make_members": "shoal.collective.stacked",
}

if TYPE_CHECKING:
    from shoal.collective.allocation import SwarmTokenAllocation
    from shoal.collective.collective import Collective
    from shoal.collective.consensus import ConsensusNetwork
    from shoal.collective.moe import MixtureOfExperts, SwitchFFN
    from shoal.collective.relevance import RelevanceScorer
    from shoal.collective.stacked import make_members
    from shoal.collective.voting import VotingLayer
    from shoal.equations.conformal import Calibration
    from shoal.equations.prediction import Prediction

__all__ = ["Calibration", "Collective", "ConsensusNetwork", "MixtureOfExperts", "Prediction"]
__all__ += ["RelevanceScorer", "SwarmTokenAllocation", "SwitchFFN", "VotingLayer", "make_members"]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'shoal.collective' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
