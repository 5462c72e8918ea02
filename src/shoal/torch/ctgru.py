"""CT-GRU over sequences."""

from __future__ import annotations

from shoal.torch.cells import CTGRUCell
from shoal.torch.recurrent import Recurrent, record
from shoal.wirings import Wiring


class CTGRU(Recurrent):
    """Gated units that remember on many time scales, over irregular sequences.

        ĥ_k ← ĥ_k·e^(−Δt/τ_k);   q = tanh(W [x, Σ r_k ĥ_k] + b);   ĥ_k ← (1 − s_k)·ĥ_k + s_k·q

    with gates r and s that choose among the time scales τ_k; see `shoal.equations.ctgru`. The state
    is every neuron's traces, (batch, units, n_scales).

    Args:
        input_size: features of the input.
        units: neurons, or a `Wiring`: then every weight matrix has only its synapses (their signs
            are learned), and its motor neurons are the output.
        proj_size: width of a linear projection of the output; None for none.
        return_sequences: every output, or only the last.
        batch_first: (batch, time, input), or (time, batch, input).
        mixed_memory: pass the hidden state through an LSTM before every step.
        n_scales: time scales of every neuron, each √10 times the one before.
        min_tau: the smallest, in the unit of the timespans; a typical time between observations.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer while training.
        initializer: of the weights, a name (xavier_uniform, orthogonal, ...) or a function of
            `torch.nn.init`; None means Xavier-uniform.
        dtype, device: of the parameters; None means PyTorch's defaults.

    Raises:
        ValueError: for unknown names and sizes below one.

    Source: Mozer, Kazakov & Lindsey 2017, arXiv 1710.04110.

    >>> import torch
    >>> rnn = CTGRU(3, 8)
    >>> elapsed = torch.tensor([0.1, 0.5, 2.0, 0.1, 7.0])
    >>> output, traces = rnn(torch.ones(2, 5, 3), timespans=elapsed)
    >>> output.shape, traces.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8, 8]))
    """

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        proj_size: int | None = None,
        return_sequences: bool = True,
        batch_first: bool = True,
        mixed_memory: bool = False,
        *,
        n_scales: int = 8,
        min_tau: float = 1.0,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
        initializer=None,
        dtype=None,
        device=None,
    ):
        arguments = record(locals())
        options = {"initializer": initializer, "dtype": dtype, "device": device}

        def make(size: int) -> CTGRUCell:
            return CTGRUCell(size, units, n_scales, min_tau, **options)

        super().__init__("ctgru", make, arguments)
