"""CfC over sequences, with the arguments of `ncps.torch.CfC`."""

from __future__ import annotations

from typing import Any

from shoal.torch.cfc_cell import CfCCell, WiredCfCCell
from shoal.torch.recurrent import Recurrent, record
from shoal.wiring_copy import is_wiring
from shoal.wirings import Wiring


class CfC(Recurrent):
    """Closed-form continuous-time neurons over irregular sequences.

        h' = tanh(ff1)·(1 − s) + s·tanh(ff2),   s = σ(time_a·Δt + time_b)

    with ff1, ff2, time_a, time_b linear in a backbone of [x, h]; see `shoal.equations.cfc` for
    the other modes. The first eleven arguments are those of `ncps.torch.CfC`, in its order, and
    `state_dict` has its keys.

    Args:
        input_size: features of the input.
        units: neurons, or a `Wiring`: then every layer of it is a CfC without backbone whose
            synapses are the wiring's, and its motor neurons are the output.
        proj_size: width of a linear projection of the output; None for none.
        return_sequences: every output, or only the last.
        batch_first: (batch, time, input), or (time, batch, input).
        mixed_memory: pass the hidden state through an LSTM before every step.
        mode: "default", "no_gate" (the second term is added, not mixed in), or "pure" (the
            solution itself, without a second head).
        activation: of the backbone: lecun_tanh, relu, tanh, gelu or silu.
        backbone_units: width of the backbone; None means 128.
        backbone_layers: its depth; None means 1, 0 leaves it out.
        backbone_dropout: rate after each of its layers while training; None for none.
        fully_recurrent: with a wiring, whether every neuron of a layer hears the whole layer's
            past, and the time gates hear everything, as in `ncps`. False keeps to the wiring's
            own synapses in every head.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer while training.
        initializer: of the weights, a name (xavier_uniform, orthogonal, ...) or a function of
            `torch.nn.init`; None means Xavier-uniform.
        dtype, device: of the parameters; None means PyTorch's defaults.

    Raises:
        ValueError: for unknown names, sizes below one, or `backbone_*` with a wiring.

    Source: Hasani et al. 2022, doi 10.1038/s42256-022-00556-7.

    >>> import torch
    >>> rnn = CfC(3, 8)
    >>> elapsed = torch.tensor([0.1, 0.5, 2.0, 0.1, 7.0])
    >>> output, h = rnn(torch.ones(2, 5, 3), timespans=elapsed)
    >>> output.shape, h.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]))
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
        dtype=None,
        device=None,
    ):
        arguments = record(locals())
        options = {"initializer": initializer, "dtype": dtype, "device": device}

        given: Any = units

        def make(size: int):
            if is_wiring(units):
                return WiredCfCCell(size, given, mode, fully_recurrent=fully_recurrent, **options)
            width = 128 if backbone_units is None else backbone_units
            depth = 1 if backbone_layers is None else backbone_layers
            rate = backbone_dropout or 0.0
            return CfCCell(size, given, mode, activation, width, depth, rate, **options)

        super().__init__("cfc", make, arguments)
        self.wired_mode = is_wiring(units)
