"""Mixtures of experts: routers, dispatch, experts, losses and statistics."""

from shoal.collective.moe.experts import MLP, GatedFFN
from shoal.collective.moe.layer import Info, MixtureOfExperts
from shoal.collective.moe.mixtral import from_mixtral
from shoal.collective.moe.routers import (
    AbstractRouter,
    BiasBalanced,
    ExpertChoice,
    NoisyTopK,
    TopK,
)
from shoal.collective.moe.statistics import Statistics
from shoal.collective.moe.switch import SwitchFFN

__all__ = ["MLP", "AbstractRouter", "BiasBalanced", "ExpertChoice", "GatedFFN"]
__all__ += ["Info", "MixtureOfExperts", "NoisyTopK", "Statistics", "SwitchFFN", "TopK"]
__all__ += ["from_mixtral"]
