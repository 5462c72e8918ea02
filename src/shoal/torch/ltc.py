"""LTC over sequences, with the arguments of `ncps.torch.LTC`."""

from __future__ import annotations

from shoal.torch.ltc_cell import LTCCell
from shoal.torch.recurrent import Recurrent, record
from shoal.wiring_copy import is_wiring
from shoal.wirings import FullyConnected, Wiring


class LTC(Recurrent):
    """Liquid time-constant neurons over irregular sequences.

        cm·dv/dt = gleak·(vleak − v) + Σ W·(erev − v) + Σ S·(sensory_erev − v)

    with synapses W = w·σ(sigma·(v_before − mu)) among the neurons, and S from the inputs; see
    `shoal.equations.ltc`. The first ten arguments are those of `ncps.torch.LTC`, in its order, and
    `state_dict` has its keys.

    Args:
        input_size: features of the input.
        units: neurons, fully connected, or a `Wiring`, whose motor neurons are the output.
        return_sequences: every output, or only the last.
        batch_first: (batch, time, input), or (time, batch, input).
        mixed_memory: pass the hidden state through an LSTM before every step.
        input_mapping: of every feature before the synapses: "affine" w·x + b, "linear" w·x, None.
        output_mapping: of every motor neuron, likewise.
        ode_unfolds: steps of the solver for every observation.
        epsilon: added to the conductance in the semi-implicit step.
        implicit_param_constraints: keep gleak, cm and w positive by a softplus; False learns them
            as they are: call `apply_weight_constraints` after every step of the optimiser.
        solver: "semi_implicit" (stable for every elapsed time), "euler" or "rk4".
        proj_size: width of a linear projection of the output; None for none.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer while training.
        initializer: of the projection and the memory; the neurons start from their own ranges.
        dtype, device: of the parameters; None means PyTorch's defaults.

    Raises:
        ValueError: for unknown names and sizes below one.

    Source: Hasani et al. 2021, doi 10.1609/aaai.v35i9.16936.

    >>> import torch
    >>> from shoal.wirings import AutoNCP
    >>> rnn = LTC(3, AutoNCP(16, 2))
    >>> output, v = rnn(torch.ones(4, 5, 3), timespans=0.1)
    >>> output.shape, v.shape
    (torch.Size([4, 5, 2]), torch.Size([4, 16]))
    """

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        return_sequences: bool = True,
        batch_first: bool = True,
        mixed_memory: bool = False,
        input_mapping: str | None = "affine",
        output_mapping: str | None = "affine",
        ode_unfolds: int = 6,
        epsilon: float = 1e-8,
        implicit_param_constraints: bool = True,
        *,
        solver: str = "semi_implicit",
        proj_size: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
        initializer=None,
        dtype=None,
        device=None,
    ):
        arguments = record(locals())
        mappings = input_mapping, output_mapping
        numerics = ode_unfolds, epsilon, implicit_param_constraints
        options = {"solver": solver, "dtype": dtype, "device": device}

        def make(size: int) -> LTCCell:
            wiring = units if is_wiring(units) else FullyConnected(units)  # type: ignore[arg-type]
            return LTCCell(wiring, size, *mappings, *numerics, **options)  # type: ignore[arg-type]

        super().__init__("ltc", make, arguments)

    @property
    def sensory_size(self) -> int:
        return self.input_size

    @property
    def motor_size(self) -> int:
        return self.rnn_cell.output_size  # type: ignore[union-attr,return-value]

    @property
    def sensory_synapse_count(self) -> int:
        """Synapses from the inputs to the first cell."""
        return self.wiring.sensory_synapse_count  # type: ignore[union-attr]

    def apply_weight_constraints(self) -> None:
        """Clips what must be positive in every cell, unless a softplus keeps it there."""
        for module in self.modules():
            if isinstance(module, LTCCell):
                module.apply_weight_constraints()
