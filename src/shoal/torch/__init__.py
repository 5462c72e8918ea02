"""The neurons as `torch.nn.Module`s: a drop-in for `ncps.torch`, without JAX."""

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
]
