"""CfC as `mlx.nn.Module`; the equation is `shoal.equations.cfc`."""

from __future__ import annotations

import mlx.core as mx

from shoal.mlx.recurrent import Recurrent
from shoal.wirings import Wiring


class CfC(Recurrent):
    """Closed-form continuous-time neurons over irregular sequences.

        h' = tanh(ff1)·(1 − s) + s·tanh(ff2),   s = σ(time_a·Δt + time_b)

    with ff1, ff2, time_a, time_b linear in a backbone of [x, h]; see `shoal.equations.cfc` for
    the other modes.

    Args:
        input_size: features of x.
        units: neurons, or a `Wiring`: then every layer of it is a CfC without backbone whose
            synapses are the wiring's, and its motor neurons are the output.
        proj_size: width of a linear projection of the output; None for none.
        return_sequences: every output, or only the last.
        batch_first: x is (batch, time, input); else (time, batch, input).
        mixed_memory: pass the hidden state through an LSTM before every step.
        mode: "default", "no_gate" (the second term is added, not mixed in), or "pure" (the
            solution itself, without a second head).
        activation: of the backbone: lecun_tanh, relu, tanh, gelu or silu.
        backbone_units: width of the backbone; None means 128.
        backbone_layers: its depth; None means 1, 0 leaves it out.
        backbone_dropout: rate after each of its layers in training mode; None for none.
        fully_recurrent: with a wiring, whether every neuron of a layer hears the whole layer's
            past, and the time gates hear everything, as in `ncps`. False keeps to the wiring's
            own synapses in every head.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer in training mode.
        initializer: of the weights, a name or a function of `mlx.nn.init`; None means
            Xavier-uniform.
        dtype: float32, bfloat16 or float16, an MLX type or its name.

    Raises:
        ValueError: for unknown names, sizes below one, `backbone_*` with a wiring, or a wiring
            that was built for another number of inputs.

    Source: Hasani et al. 2022, doi 10.1038/s42256-022-00556-7.

    >>> rnn = CfC(3, 8)
    >>> x, elapsed = mx.ones((2, 5, 3)), mx.array([0.1, 0.5, 2.0, 0.1, 7.0])
    >>> output, state = rnn(x, timespans=elapsed)
    >>> output.shape, state.shape
    ((2, 5, 8), (2, 8))
    """

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        proj_size: int | None = None,
        return_sequences: bool = True,
        batch_first: bool = True,
        mixed_memory: bool = False,
        mode: str = "default",
        activation: str = "lecun_tanh",
        backbone_units: int | None = None,
        backbone_layers: int | None = None,
        backbone_dropout: float | None = None,
        *,
        fully_recurrent: bool = True,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
        initializer=None,
        dtype: mx.Dtype | str = mx.float32,
    ):
        super().__init__("cfc", locals())
