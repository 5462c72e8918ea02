"""What is saved and shipped: bundles of whole collectives, parameters, StableHLO of members.

Each name is imported when it is first used: what reads a bundle must work where JAX is absent.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_HOMES = {
    "save": "shoal.bundle.saving",
    "load": "shoal.bundle.loading",
    "read_manifest": "shoal.bundle.manifest",
    "read_arrays": "shoal.bundle.manifest",
    "BundleError": "shoal.bundle.manifest",
    "register": "shoal.bundle.registry",
    "kinds": "shoal.bundle.registry",
    "ensemble_metadata": "shoal.bundle.metadata",
    "parameters": "shoal.bundle.conversion",
    "save_parameters": "shoal.bundle.conversion",
    "load_parameters": "shoal.bundle.conversion",
}

if TYPE_CHECKING:
    from shoal.bundle.conversion import load_parameters, parameters, save_parameters
    from shoal.bundle.loading import load
    from shoal.bundle.manifest import BundleError, read_arrays, read_manifest
    from shoal.bundle.metadata import ensemble_metadata
    from shoal.bundle.registry import kinds, register
    from shoal.bundle.saving import save

__all__ = ["BundleError", "ensemble_metadata", "kinds", "load", "load_parameters", "parameters"]
__all__ += ["read_arrays", "read_manifest", "register", "save", "save_parameters"]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'shoal.bundle' has no attribute {name!r}")
