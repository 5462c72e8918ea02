"""CT-GRU for loops over time; the equation is `shoal.equations.ctgru`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shoal.equations import ctgru
from shoal.equations.arrays import add_product
from shoal.equations.checks import require_positive
from shoal.unrolled.arrays import add_matmul, linear
from shoal.unrolled.cell import Cell, masked
from shoal.wirings import Wiring


@dataclass(frozen=True)
class CTGRUCell(Cell):
    """The state is every unit's traces, (batch, units, scales).

    The output is their sum h, or with a wiring the motor neurons' h.
    """

    input_size: int
    units: int
    wiring: Wiring | None = None
    n_scales: int = 8
    min_tau: float = 1.0

    def __post_init__(self):
        ctgru.check(self.units, self.n_scales, self.min_tau)
        require_positive(input_size=self.input_size)
        if self.wiring is not None:
            object.__setattr__(self, "wiring", self.wiring.build(self.input_size))

    @property
    def state_size(self) -> int:
        return self.units

    @property
    def output_size(self) -> int:
        return self.units if self.wiring is None else self.wiring.output_dim

    def table(self):
        return ctgru.TABLE

    def sizes(self):
        return ctgru.dimensions(self.input_size, self.units)

    def buffers(self):
        if self.wiring is None:
            return {}
        both = self.wiring.sensory_adjacency_matrix, self.wiring.adjacency_matrix
        return {"_exists": np.concatenate(both).T != 0}

    def initial_state(self, zeros, batch):
        return zeros(batch, self.units, self.n_scales)

    def shown(self, xp, state):
        return ctgru.visible(xp, state)

    def showing(self, xp, state, hidden):
        # the change is shared equally
        return state + ((hidden - ctgru.visible(xp, state)) / self.n_scales)[..., None]

    def begin(self, xp, params, x, timespans, drops=None):
        names = [f"{part}_weight" for part in ctgru.PARTS]
        weights = {n: masked(xp, params[n], params.get("_exists")) for n in names}
        parts = ctgru.split(xp, dict(params) | weights, self.input_size)
        of_x, bias, gate_weight, event_weight = parts
        projected = linear(xp, xp.swapaxes(x, 0, 1), of_x, bias)
        scales = ctgru.log_scales(self.n_scales, self.min_tau)
        log_tau = xp.concatenate([xp.zeros_like(bias[:1]) + scale for scale in scales])
        elapsed = xp.swapaxes(timespans, 0, 1)[..., None, None]
        fades = xp.exp(-elapsed * xp.exp(-log_tau))
        constants = {"log_tau": log_tau, "gates": gate_weight.T, "event": event_weight.T}
        n = 2 * self.units
        return constants, (projected[..., :n], projected[..., n:], fades)

    def step(self, xp, constants, state, given):
        gates, event, fades = given
        traces = state * fades
        gates = add_matmul(xp, gates, ctgru.visible(xp, traces), constants["gates"])
        chosen = ctgru.choose(xp, gates, constants["log_tau"])
        retrieval, storage = chosen[:, : self.units], chosen[:, self.units :]
        retrieved = xp.sum(retrieval * traces, axis=-1)
        event = xp.tanh(add_matmul(xp, event, retrieved, constants["event"]))
        traces = add_product(xp, traces, storage, event[..., None] - traces)
        return ctgru.visible(xp, traces)[:, : self.output_size], traces
