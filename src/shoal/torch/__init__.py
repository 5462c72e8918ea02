"""The neurons as `torch.nn.Module`s: a drop-in for `ncps.torch`, without JAX."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError("shoal.torch needs PyTorch: pip install 'shoal[torch]'") from error

from shoal.torch.cells import CTGRUCell, CTRNNCell, GRUCell, LSTMCell
from shoal.torch.cfc import CfC
from shoal.torch.cfc_cell import CfCCell, WiredCfCCell
from shoal.torch.ctgru import CTGRU
from shoal.torch.ctrnn import CTRNN
from shoal.torch.gru import GRU
from shoal.torch.lstm import LSTM
from shoal.torch.ltc import LTC
from shoal.torch.ltc_cell import LTCCell
from shoal.torch.model import Head, SequenceModel

if TYPE_CHECKING:
    from shoal.torch.loading import load, load_member

__all__ = [
    "CTGRU",
    "CTRNN",
    "GRU",
    "LSTM",
    "LTC",
    "CTGRUCell",
    "CTRNNCell",
    "CfC",
    "CfCCell",
    "GRUCell",
    "Head",
    "LSTMCell",
    "LTCCell",
    "SequenceModel",
    "WiredCfCCell",
    "load",
    "load_member",
]


def __getattr__(name: str) -> Any:
    if name in ("load", "load_member"):  # bundles are read by those who ask for them
        return getattr(import_module("shoal.torch.loading"), name)
    raise AttributeError(f"module 'shoal.torch' has no attribute {name!r}")
