"""Search without gradients, or with few: swarms over any pytree."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from shoal.swarm.convergence import Convergence
from shoal.swarm.hybrid import HybridSwarm
from shoal.swarm.neighbourhoods import Global, Random, Ring, VonNeumann
from shoal.swarm.particle import ParticleSwarm
from shoal.swarm.progress import Told
from shoal.swarm.result import History, Result
from shoal.swarm.search import fly, minimise
from shoal.swarm.state import SwarmState

if TYPE_CHECKING:
    from shoal.swarm.cma import CMAES
    from shoal.swarm.differential import DifferentialEvolution
    from shoal.swarm.sampler import SwarmSampler

_LAZY = {  # each needs a package of its own
    "CMAES": "shoal.swarm.cma",
    "DifferentialEvolution": "shoal.swarm.differential",
    "SwarmSampler": "shoal.swarm.sampler",
}

__all__ = ["CMAES", "Convergence", "DifferentialEvolution", "Global", "History", "HybridSwarm"]
__all__ += ["ParticleSwarm", "Random", "Result", "Ring", "SwarmSampler", "SwarmState", "Told"]
__all__ += ["VonNeumann", "fly", "minimise"]


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'shoal.swarm' has no attribute {name!r}")
