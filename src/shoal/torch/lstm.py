"""LSTM over sequences."""

from __future__ import annotations

from shoal.torch.cells import LSTMCell
from shoal.torch.recurrent import Recurrent, record


class LSTM(Recurrent):
    """Long short-term memory over sequences, as a baseline for liquid neurons.

        a, i, f, o = W x + U h + b
        c' = c·σ(f + 1) + tanh(a)·σ(i);   h' = tanh(c')·σ(o)

    Args:
        input_size: features of the input.
        units: neurons.
        proj_size: width of a linear projection of the output; None for none.
        return_sequences: every output, or only the last.
        batch_first: (batch, time, input), or (time, batch, input).
        use_timespans: append the elapsed time Δt to the input; otherwise time is ignored.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer while training.
        initializer: of the weights, a name (xavier_uniform, orthogonal, ...) or a function of
            `torch.nn.init`; None means each weight's own.
        dtype, device: of the parameters; None means PyTorch's defaults.

    Raises:
        ValueError: for unknown names and sizes below one.

    Source: Hochreiter & Schmidhuber 1997, with the gate order and forget bias of `ncps`.

    >>> import torch
    >>> rnn = LSTM(3, 8)
    >>> elapsed = torch.tensor([0.1, 0.5, 2.0, 0.1, 7.0])
    >>> output, (h, c) = rnn(torch.ones(2, 5, 3), timespans=elapsed)
    >>> output.shape, c.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]))
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        proj_size: int | None = None,
        return_sequences: bool = True,
        batch_first: bool = True,
        *,
        use_timespans: bool = False,
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

        def make(size: int) -> LSTMCell:
            return LSTMCell(size, units, use_timespans=use_timespans, **options)

        super().__init__("lstm", make, arguments)
