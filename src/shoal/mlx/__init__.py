"""The neurons as `mlx.nn` modules: for Apple silicon, and for Linux.

They take the arguments of `ncps`, in its order, and share equations and parameter names with the
JAX and PyTorch neurons; nothing here imports JAX.
`Collective` and `fit` make crowds of any modules.
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
from shoal.mlx.mlp import MLP
from shoal.mlx.model import Head, SequenceModel, TimeScaling

if TYPE_CHECKING:
    from shoal.mlx.crowd import Collective
    from shoal.mlx.crowd_training import fit
    from shoal.mlx.loading import load, load_member

_HOMES = {  # bundles and crowds are imported by those who ask for them
    "Collective": "shoal.mlx.crowd",
    "fit": "shoal.mlx.crowd_training",
    "load": "shoal.mlx.loading",
    "load_member": "shoal.mlx.loading",
}

__all__ = [
    "CTGRU",
    "CTRNN",
    "GRU",
    "LSTM",
    "LTC",
    "MLP",
    "CfC",
    "Collective",
    "Head",
    "SequenceModel",
    "TimeScaling",
    "fit",
    "load",
    "load_member",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'shoal.mlx' has no attribute {name!r}")
