"""Many members as one pytree: create, train, stop, checkpoint.

Each name is imported when it is first used: the regimes must work where JAX is absent.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Checkpoint": "shoal.population.checkpoint",
    "EpochInfo": "shoal.population.fitted",
    "Fitted": "shoal.population.fitted",
    "Group": "shoal.population.members",
    "History": "shoal.population.history",
    "Population": "shoal.population.members",
    "Stopping": "shoal.population.stopping",
    "fit": "shoal.population.fit",
}

if TYPE_CHECKING:
    from shoal.population.checkpoint import Checkpoint
    from shoal.population.fit import fit
    from shoal.population.fitted import EpochInfo, Fitted
    from shoal.population.history import History
    from shoal.population.members import Group, Population
    from shoal.population.stopping import Stopping

__all__ = ["Checkpoint", "EpochInfo", "Fitted", "Group", "History", "Population", "Stopping", "fit"]


class _Package(ModuleType):
    """`fit` is a module and its function; the function is meant, whichever was imported first."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "fit" and isinstance(value, ModuleType):
            value = value.fit
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str):
    if name in _HOMES:
        home = import_module(_HOMES[name])
        return getattr(home, name)
    raise AttributeError(f"module 'shoal.population' has no attribute {name!r}")
