"""CT-RNN for loops over time; the equation is `shoal.equations.ctrnn`.

With the drive f held, both solvers are v ← remains·v + gain·f: how much remains, and how much the
drive counts, depend on the elapsed time alone and are worked out for all steps at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from shoal.equations import ctrnn
from shoal.equations.activations import find_activation
from shoal.equations.arrays import add_product
from shoal.equations.checks import require_positive
from shoal.unrolled.arrays import add_matmul, linear
from shoal.unrolled.cell import Cell, masked
from shoal.wirings import Wiring


@dataclass(frozen=True)
class CTRNNCell(Cell):
    """The state is v, (batch, units); the output is v, or with a wiring the motor neurons' v."""

    input_size: int
    units: int
    wiring: Wiring | None = None
    unfolds: int = 6
    solver: str = "exponential"
    tau: float = 1.0
    activation: str = "tanh"

    def __post_init__(self):
        ctrnn.check(self.units, self.unfolds, self.solver, self.tau, self.activation)
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
        return ctrnn.table(self.tau)

    def sizes(self):
        return {"inputs": self.input_size, "units": self.units}

    def buffers(self):
        if self.wiring is None:
            return {}
        return {
            "_input_exists": self.wiring.sensory_adjacency_matrix.T != 0,
            "_recurrent_exists": self.wiring.adjacency_matrix.T != 0,
        }

    def begin(self, xp, params, x, timespans, drops=None):
        weight = masked(xp, params["input_weight"], params.get("_input_exists"))
        recurrent = masked(xp, params["recurrent_weight"], params.get("_recurrent_exists"))
        projected = linear(xp, xp.swapaxes(x, 0, 1), weight, params["bias"])
        step = xp.swapaxes(timespans, 0, 1)[..., None] / self.unfolds
        tau = ctrnn.time_constant(xp, params["tau"])
        remains, gain = 1.0 - step / tau, step
        if self.solver == "exponential":
            remains = xp.exp(-step / tau)
            gain = tau * (1.0 - remains)
        return {"recurrent": recurrent.T}, (projected, remains, gain)

    def step(self, xp, constants, state, given):
        projected, remains, gain = given
        activation, v = find_activation(self.activation), state
        for _ in range(self.unfolds):
            drive = activation(xp, add_matmul(xp, projected, v, constants["recurrent"]))
            v = add_product(xp, v * remains, gain, drive)
        return v[:, : self.output_size], v
