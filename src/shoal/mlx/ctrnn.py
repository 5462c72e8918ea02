"""CT-RNN as `mlx.nn.Module`; the equation is `shoal.equations.ctrnn`."""

from __future__ import annotations

import mlx.core as mx

from shoal.mlx.recurrent import Recurrent
from shoal.wirings import Wiring


class CTRNN(Recurrent):
    """Continuous-time recurrent neurons over irregular sequences.

        dv/dt = −v/τ + f(W x + U v + b)

    integrated over the time that elapsed before each observation; see `shoal.equations.ctrnn`.

    Args:
        input_size: features of x.
        units: neurons, or a `Wiring`: then W and U have only its synapses (their signs are
            learned), and its motor neurons are the output.
        return_sequences: every output, or only the last.
        batch_first: x is (batch, time, input); else (time, batch, input).
        mixed_memory: pass the hidden state through an LSTM before every step.
        ode_unfolds: steps of the solver for every observation.
        solver: "exponential" (stable for every elapsed time) or "euler" (explicit; diverges for
            elapsed times beyond 2τ·ode_unfolds).
        tau: the time constant that every neuron starts from, in the unit of the timespans; greater
            than 0, and kept so by a softplus.
        activation: f: tanh, lecun_tanh, relu, gelu or silu.
        proj_size: width of a linear projection of the output; None for none.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer in training mode.
        initializer: of the weights, a name or a function of `mlx.nn.init`; None means
            Xavier-uniform W, orthogonal U.
        dtype: float32, bfloat16 or float16, an MLX type or its name.

    Raises:
        ValueError: for unknown names, sizes below one, or a `tau` that is not positive.

    Source: Funahashi & Nakamura 1993, doi 10.1016/S0893-6080(05)80125-X.

    >>> rnn = CTRNN(3, 8, tau=10.0)
    >>> output, state = rnn(mx.ones((2, 5, 3)), timespans=mx.array([0.1, 0.5, 2.0, 0.1, 70.0]))
    >>> output.shape, state.shape
    ((2, 5, 8), (2, 8))
    """

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        return_sequences: bool = True,
        batch_first: bool = True,
        mixed_memory: bool = False,
        *,
        ode_unfolds: int = 6,
        solver: str = "exponential",
        tau: float = 1.0,
        activation: str = "tanh",
        proj_size: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
        initializer=None,
        dtype: mx.Dtype | str = mx.float32,
    ):
        super().__init__("ctrnn", locals())
