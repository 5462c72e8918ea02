"""LTC as `mlx.nn.Module`; the equation is `shoal.equations.ltc`."""

from __future__ import annotations

import mlx.core as mx
from mlx.utils import tree_unflatten

from shoal.equations import ltc
from shoal.mlx.recurrent import Recurrent
from shoal.unrolled.cell import inside
from shoal.wirings import Wiring


class LTC(Recurrent):
    """Liquid time-constant neurons over irregular sequences.

        cm·dv/dt = gleak·(vleak − v) + Σ W·(erev − v) + Σ S·(sensory_erev − v)

    with synapses W = w·σ(sigma·(v_before − mu)) among the neurons, and S from the inputs; see
    `shoal.equations.ltc`. The neurons' time constants follow their input.

    Args:
        input_size: features of x.
        units: neurons, fully connected, or a `Wiring`, whose motor neurons are the output.
        return_sequences: every output, or only the last.
        batch_first: x is (batch, time, input); else (time, batch, input).
        mixed_memory: pass the hidden state through an LSTM before every step.
        input_mapping: of every feature before the synapses: "affine" w·x + b, "linear" w·x, None.
        output_mapping: of every motor neuron, likewise.
        ode_unfolds: steps of the solver for every observation.
        epsilon: added to the conductance in the semi-implicit step.
        implicit_param_constraints: keep gleak, cm and w positive by a softplus; False learns them
            as they are: call `apply_weight_constraints()` after each step of the optimiser.
        solver: "semi_implicit" (stable for every elapsed time), "euler" or "rk4".
        proj_size: width of a linear projection of the output; None for none.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer in training mode.
        initializer: of the projection and the memory; the neurons start from their own ranges.
        dtype: float32, bfloat16 or float16, an MLX type or its name.

    Raises:
        ValueError: for unknown names, sizes below one, or a wiring that was built for another
            number of inputs.

    Source: Hasani et al. 2021, doi 10.1609/aaai.v35i9.16936.

    >>> from shoal.wirings import AutoNCP
    >>> rnn = LTC(3, AutoNCP(16, 2))
    >>> output, state = rnn(mx.ones((4, 5, 3)), timespans=0.1)
    >>> output.shape, state.shape
    ((4, 5, 2), (4, 16))
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
        dtype: mx.Dtype | str = mx.float32,
    ):
        super().__init__("ltc", locals())

    def apply_weight_constraints(self) -> None:
        """Brings gleak, cm, w and sensory_w back to where they are positive.

        To call after each step of the optimiser, and only needed (otherwise it does nothing) with
        `implicit_param_constraints=False`. It may be part of a compiled train step.

        >>> rnn = LTC(2, 3, implicit_param_constraints=False)
        >>> rnn.stack.layers[0].forward.params.gleak = mx.array([-1.0, 0.0, 2.0])
        >>> rnn.apply_weight_constraints()
        >>> rnn.stack.layers[0].forward.params.gleak.tolist()
        [0.0, 0.0, 2.0]
        """
        if self.arguments["implicit_param_constraints"]:
            return
        everything, clipped = self.layout(), []
        for place, cell in self.plan.places().items():
            inner = getattr(cell, "cell", None)
            place += cell.prefix if inner is None else f"cell.{inner.prefix}"
            params = ltc.project(mx, inside(everything, place), self.arguments["epsilon"])
            clipped += [(place + name, params[name]) for name in ltc.POSITIVE]
        self.update(tree_unflatten(clipped))  # pyright: ignore
