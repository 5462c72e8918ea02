"""The neurons as `torch.nn.Module`s: a drop-in for `ncps.torch`, without JAX.

`Collective` and `fit` make crowds of any modules.
"""

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
from shoal.torch.mlp import MLP
from shoal.torch.model import Head, SequenceModel

if TYPE_CHECKING:
    from shoal.torch.crowd import Collective
    from shoal.torch.crowd_training import fit
    from shoal.torch.loading import load, load_member

_HOMES = {  # bundles and crowds are imported by those who ask for them
    "Collective": "shoal.torch.crowd",
    "fit": "shoal.torch.crowd_training",
    "load": "shoal.torch.loading",
    "load_member": "shoal.torch.loading",
}

__all__ = [
    "CTGRU",
    "CTRNN",
    "GRU",
    "LSTM",
    "LTC",
    "MLP",
    "CTGRUCell",
    "CTRNNCell",
    "CfC",
    "CfCCell",
    "Collective",
    "GRUCell",
    "Head",
    "LSTMCell",
    "LTCCell",
    "SequenceModel",
    "WiredCfCCell",
    "fit",
    "load",
    "load_member",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'shoal.torch' has no attribute {name!r}")
