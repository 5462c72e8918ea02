"""Cells of the other neurons: one observation at a time."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from shoal.torch.neuron import Neuron
from shoal.unrolled import ctgru, ctrnn, gru, lstm
from shoal.wiring_copy import copy_wiring, is_wiring
from shoal.wirings import Wiring


class CTRNNCell(Neuron):
    """A leaky integrator, dv/dt = −v/τ + f(W x + U v + b); arguments as of `CTRNN`."""

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        ode_unfolds: int = 6,
        solver: str = "exponential",
        tau: float = 1.0,
        activation: str = "tanh",
        *,
        initializer=None,
        dtype=None,
        device=None,
    ):
        super().__init__()
        wiring = copy_wiring(units, input_size) if is_wiring(units) else None
        neurons: Any = units if wiring is None else wiring.units
        options = {"unfolds": ode_unfolds, "solver": solver, "tau": tau, "activation": activation}
        self._adopt(ctrnn.CTRNNCell(input_size, neurons, wiring, **options), device)
        self._make(device, dtype)
        self.reset_parameters(initializer)

    def forward(self, input: Tensor, hx: Tensor, timespans: Any = 1.0) -> tuple[Tensor, Tensor]:
        """The output and the next state, from (batch, input_size) and (batch, units)."""
        return self._advance(input, hx, timespans)


class CTGRUCell(Neuron):
    """A gated unit that remembers on many time scales; arguments as of `CTGRU`.

    The state is every neuron's traces, (batch, units, n_scales).
    """

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        n_scales: int = 8,
        min_tau: float = 1.0,
        *,
        initializer=None,
        dtype=None,
        device=None,
    ):
        super().__init__()
        wiring = copy_wiring(units, input_size) if is_wiring(units) else None
        neurons: Any = units if wiring is None else wiring.units
        plan = ctgru.CTGRUCell(input_size, neurons, wiring, n_scales=n_scales, min_tau=min_tau)
        self._adopt(plan, device)
        self._make(device, dtype)
        self.reset_parameters(initializer)

    def forward(self, input: Tensor, hx: Tensor, timespans: Any = 1.0) -> tuple[Tensor, Tensor]:
        """The output, (batch, units), and the next traces."""
        return self._advance(input, hx, timespans)


class LSTMCell(Neuron):
    """A long short-term memory cell, with the gate order, forget bias and names of `ncps`.

    As in `ncps`, `forward(inputs, (h, c))` gives the next (h, c), which is also how the memory of
    `mixed_memory` works.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        use_timespans: bool = False,
        initializer=None,
        dtype=None,
        device=None,
    ):
        super().__init__()
        self.hidden_size = hidden_size
        self._adopt(lstm.LSTMCell(input_size, hidden_size, use_timespans), device)
        options: dict[str, Any] = {"dtype": dtype, "device": device}
        self.input_map = nn.Linear(input_size + use_timespans, 4 * hidden_size, **options)
        self.recurrent_map = nn.Linear(hidden_size, 4 * hidden_size, bias=False, **options)
        self.reset_parameters(initializer)

    def path(self, name: str) -> str:
        kind, what = name.split("_")
        return f"{kind}_map.{what}"

    def forward(self, inputs: Tensor, states: Any, timespans: Any = 1.0) -> tuple[Tensor, Tensor]:
        """The next (h, c), each (batch, hidden_size)."""
        return self._advance(inputs, states, timespans)[1]


class GRUCell(Neuron):
    """A gated recurrent unit; the state is h, (batch, hidden_size), and so is the output."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        use_timespans: bool = False,
        initializer=None,
        dtype=None,
        device=None,
    ):
        super().__init__()
        self.hidden_size = hidden_size
        self._adopt(gru.GRUCell(input_size, hidden_size, use_timespans), device)
        self._make(device, dtype)
        self.reset_parameters(initializer)

    def forward(self, inputs: Tensor, hx: Tensor, timespans: Any = 1.0) -> tuple[Tensor, Tensor]:
        """The output and the next state."""
        return self._advance(inputs, hx, timespans)
