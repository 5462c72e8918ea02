"""The training run: configuration, folder, signals, resume."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.run.checking import load_config
    from shoal.run.errors import Interrupted, Refused
    from shoal.run.life.distilling import Distilled, distill
    from shoal.run.life.updating import Updated, update
    from shoal.run.schema import Config
    from shoal.run.training import train

_HOMES = {
    "Config": "shoal.run.schema",
    "Refused": "shoal.run.errors",
    "Interrupted": "shoal.run.errors",
    "load_config": "shoal.run.checking",
    "train": "shoal.run.training",
    "update": "shoal.run.life.updating",
    "Updated": "shoal.run.life.updating",
    "distill": "shoal.run.life.distilling",
    "Distilled": "shoal.run.life.distilling",
}

__all__ = ["Config", "Distilled", "Interrupted", "Refused", "Updated", "distill", "load_config"]
__all__ += ["train", "update"]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'shoal.run' has no attribute {name!r}")
