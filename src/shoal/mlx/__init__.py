"""The neurons as `mlx.nn` modules: for Apple silicon, and for Linux.

They take the arguments of `ncps`, in its order, and share equations and parameter names with the
JAX and PyTorch neurons; nothing here imports JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import mlx.nn  # noqa: F401
except ImportError as error:
    raise ImportError("shoal.mlx needs MLX: pip install 'shoal[mlx]'") from error

from shoal.mlx.baselines import GRU, LSTM
from shoal.mlx.cfc import CfC
from shoal.mlx.ctgru import CTGRU
from shoal.mlx.ctrnn import CTRNN
from shoal.mlx.ltc import LTC
from shoal.mlx.model import Head, SequenceModel, TimeScaling

if TYPE_CHECKING:
    from shoal.mlx.loading import load, load_member

__all__ = [
    "CTGRU",
    "CTRNN",
    "GRU",
    "LSTM",
    "LTC",
    "CfC",
    "Head",
    "SequenceModel",
    "TimeScaling",
    "load",
    "load_member",
]


def __getattr__(name: str) -> Any:
    if name in ("load", "load_member"):  # bundles are read by those who ask for them
        return getattr(import_module("shoal.mlx.loading"), name)
    raise AttributeError(f"module 'shoal.mlx' has no attribute {name!r}")
