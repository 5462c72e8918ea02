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
    "OutOfFold": "shoal.collective.folded",
    "Prediction": "shoal.equations.prediction",
    "RelevanceScorer": "shoal.collective.relevance",
    "SwarmTokenAllocation": "shoal.collective.allocation",
    "SwitchFFN": "shoal.collective.moe",
    "UnifiedCollective": "shoal.collective.unified",
    "VotingLayer": "shoal.collective.voting",
    "make_members": "shoal.collective.stacked",
    "out_of_fold": "shoal.collective.folded",
}

if TYPE_CHECKING:
    from shoal.collective.allocation import SwarmTokenAllocation
    from shoal.collective.collective import Collective
    from shoal.collective.consensus import ConsensusNetwork
    from shoal.collective.folded import OutOfFold, out_of_fold
    from shoal.collective.moe import MixtureOfExperts, SwitchFFN
    from shoal.collective.relevance import RelevanceScorer
    from shoal.collective.stacked import make_members
    from shoal.collective.unified import UnifiedCollective
    from shoal.collective.voting import VotingLayer
    from shoal.equations.conformal import Calibration
    from shoal.equations.prediction import Prediction

__all__ = ["Calibration", "Collective", "ConsensusNetwork", "MixtureOfExperts", "OutOfFold"]
__all__ += ["Prediction", "RelevanceScorer", "SwarmTokenAllocation", "SwitchFFN", "VotingLayer"]
__all__ += ["UnifiedCollective", "make_members", "out_of_fold"]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'shoal.collective' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
