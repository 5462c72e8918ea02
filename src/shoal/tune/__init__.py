"""Search over a configuration's paths, or a function's parameters, trials side by side.

Each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOMES = {
    "Choice": "shoal.tune.dimensions",
    "Float": "shoal.tune.dimensions",
    "Integer": "shoal.tune.dimensions",
    "Halving": "shoal.tune.halving",
    "Outcome": "shoal.tune.outcome",
    "Space": "shoal.tune.space",
    "batch_size": "shoal.tune.finding.batch_sizes",
    "compare_time_scalings": "shoal.tune.finding.time_scalings",
    "find": "shoal.tune.finding.configured",
    "learning_rate_range": "shoal.tune.finding.rates",
    "search": "shoal.tune.searching",
    "tune": "shoal.tune.tuning",
}

if TYPE_CHECKING:
    from shoal.tune.dimensions import Choice, Float, Integer
    from shoal.tune.finding.batch_sizes import batch_size
    from shoal.tune.finding.configured import find
    from shoal.tune.finding.rates import learning_rate_range
    from shoal.tune.finding.time_scalings import compare_time_scalings
    from shoal.tune.halving import Halving
    from shoal.tune.outcome import Outcome
    from shoal.tune.searching import search
    from shoal.tune.space import Space
    from shoal.tune.tuning import tune

__all__ = [
    "Choice",
    "Float",
    "Halving",
    "Integer",
    "Outcome",
    "Space",
    "batch_size",
    "compare_time_scalings",
    "find",
    "learning_rate_range",
    "search",
    "tune",
]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'shoal.tune' has no attribute {name!r}")
