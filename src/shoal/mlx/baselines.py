"""LSTM and GRU as `mlx.nn.Module`s with the call of the liquid neurons."""

from __future__ import annotations

import mlx.core as mx

from shoal.mlx.recurrent import Recurrent


class LSTM(Recurrent):
    """Long short-term memory over sequences, as a baseline for liquid neurons.

        a, i, f, o = W x + U h + b
        c' = c·σ(f + 1) + tanh(a)·σ(i);   h' = tanh(c')·σ(o)

    Args:
        input_size: features of x.
        units: neurons.
        return_sequences: every output, or only the last.
        batch_first: x is (batch, time, input); else (time, batch, input).
        use_timespans: append the elapsed time Δt to the input; otherwise time is ignored.
        proj_size: width of a linear projection of the output; None for none.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer in training mode.
        initializer: of the weights, a name or a function of `mlx.nn.init`; None keeps each
            weight's own.
        dtype: float32, bfloat16 or float16, an MLX type or its name.

    Source: Hochreiter & Schmidhuber 1997, with the gate order and forget bias of `ncps`.

    >>> output, (h, c) = LSTM(3, 8)(mx.zeros((2, 5, 3)))
    >>> output.shape, c.shape
    ((2, 5, 8), (2, 8))
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        return_sequences: bool = True,
        batch_first: bool = True,
        *,
        use_timespans: bool = False,
        proj_size: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
        initializer=None,
        dtype: mx.Dtype | str = mx.float32,
    ):
        super().__init__("lstm", locals())


class GRU(Recurrent):
    """Gated recurrent units over sequences, as a baseline for liquid neurons.

        r, z = σ(W x + U h + b);   n = tanh(W_n x + b_n + r·(U_n h + c_n))
        h' = (1 − z)·n + z·h

    Args:
        input_size: features of x.
        units: neurons.
        return_sequences: every output, or only the last.
        batch_first: x is (batch, time, input); else (time, batch, input).
        use_timespans: append the elapsed time Δt to the input; otherwise time is ignored.
        proj_size: width of a linear projection of the output; None for none.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer in training mode.
        initializer: of the weights, a name or a function of `mlx.nn.init`; None keeps each
            weight's own.
        dtype: float32, bfloat16 or float16, an MLX type or its name.

    Source: Cho et al. 2014, in the form of PyTorch.

    >>> output, state = GRU(3, 8)(mx.zeros((2, 5, 3)))
    >>> output.shape, state.shape
    ((2, 5, 8), (2, 8))
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        return_sequences: bool = True,
        batch_first: bool = True,
        *,
        use_timespans: bool = False,
        proj_size: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
        initializer=None,
        dtype: mx.Dtype | str = mx.float32,
    ):
        super().__init__("gru", locals())
