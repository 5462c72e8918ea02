"""CT-GRU as `mlx.nn.Module`; the equation is `shoal.equations.ctgru`."""

from __future__ import annotations

import mlx.core as mx

from shoal.mlx.recurrent import Recurrent
from shoal.wirings import Wiring


class CTGRU(Recurrent):
    """Continuous-time gated recurrent units over irregular sequences.

        ĥ_k ← ĥ_k·e^(−Δt/τ_k);   q = tanh(W [x, Σ r_k ĥ_k] + b);   ĥ_k ← (1 − s_k)·ĥ_k + s_k·q

    with gates r and s that choose among the time scales τ_k; see `shoal.equations.ctgru`.

    Args:
        input_size: features of x.
        units: neurons, or a `Wiring`: then every weight matrix has only its synapses (their signs
            are learned), and its motor neurons are the output.
        return_sequences: every output, or only the last.
        batch_first: x is (batch, time, input); else (time, batch, input).
        mixed_memory: pass the hidden state through an LSTM before every step.
        n_scales: time scales of every neuron, each √10 times the one before.
        min_tau: the smallest, in the unit of the timespans; a typical time between observations.
        proj_size: width of a linear projection of the output; None for none.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer in training mode.
        initializer: of the weights, a name or a function of `mlx.nn.init`; None means
            Xavier-uniform.
        dtype: float32, bfloat16 or float16, an MLX type or its name.

    Raises:
        ValueError: for sizes below one, or a `min_tau` that is not positive.

    Source: Mozer, Kazakov & Lindsey 2017, arXiv 1710.04110.

    >>> rnn = CTGRU(3, 8)
    >>> output, state = rnn(mx.ones((2, 5, 3)), timespans=mx.array([0.1, 0.5, 2.0, 0.1, 70.0]))
    >>> output.shape, state.shape
    ((2, 5, 8), (2, 8, 8))
    """

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        return_sequences: bool = True,
        batch_first: bool = True,
        mixed_memory: bool = False,
        *,
        n_scales: int = 8,
        min_tau: float = 1.0,
        proj_size: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
        initializer=None,
        dtype: mx.Dtype | str = mx.float32,
    ):
        super().__init__("ctgru", locals())
