"""Configurations to start from: `shoal init --preset NAME`."""

from shoal.run.presets.registry import PRESETS, Preset, preset

__all__ = ["PRESETS", "Preset", "preset"]
