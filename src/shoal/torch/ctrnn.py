"""CT-RNN over sequences."""

from __future__ import annotations

from shoal.torch.cells import CTRNNCell
from shoal.torch.recurrent import Recurrent, record
from shoal.wirings import Wiring


class CTRNN(Recurrent):
    """Leaky integrators that feed back on each other, over irregular sequences.

        dv/dt = −v/τ + f(W x + U v + b)

    integrated over the time that elapsed before each observation; see `shoal.equations.ctrnn`.

    Args:
        input_size: features of the input.
        units: neurons, or a `Wiring`: then every weight matrix has only its synapses (their signs
            are learned), and its motor neurons are the output.
        proj_size: width of a linear projection of the output; None for none.
        return_sequences: every output, or only the last.
        batch_first: (batch, time, input), or (time, batch, input).
        mixed_memory: pass the hidden state through an LSTM before every step.
        ode_unfolds: steps of the solver for every observation.
        solver: "exponential" (stable for every elapsed time) or "euler" (explicit; diverges for
            elapsed times beyond 2τ·ode_unfolds).
        tau: the time constant that every neuron starts from, in the unit of the timespans; greater
            than 0, and kept so by a softplus.
        activation: f: tanh, lecun_tanh, relu, gelu or silu.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer while training.
        initializer: of the weights, a name (xavier_uniform, orthogonal, ...) or a function of
            `torch.nn.init`; None means Xavier-uniform W, orthogonal U.
        dtype, device: of the parameters; None means PyTorch's defaults.

    Raises:
        ValueError: for unknown names and sizes below one.

    Source: Funahashi & Nakamura 1993, doi 10.1016/S0893-6080(05)80125-X.

    >>> import torch
    >>> rnn = CTRNN(3, 8)
    >>> elapsed = torch.tensor([0.1, 0.5, 2.0, 0.1, 7.0])
    >>> output, v = rnn(torch.ones(2, 5, 3), timespans=elapsed)
    >>> output.shape, v.shape
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
        *,
        ode_unfolds: int = 6,
        solver: str = "exponential",
        tau: float = 1.0,
        activation: str = "tanh",
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

        def make(size: int) -> CTRNNCell:
            return CTRNNCell(size, units, ode_unfolds, solver, tau, activation, **options)

        super().__init__("ctrnn", make, arguments)
