"""LSTM for loops over time; the equation is `shoal.equations.lstm`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shoal.equations import lstm
from shoal.equations.checks import require_positive
from shoal.unrolled.arrays import add_matmul, linear
from shoal.unrolled.cell import Cell


@dataclass(frozen=True)
class LSTMCell(Cell):
    """The state is (h, c), both (batch, units); the output is h."""

    signed_time: ClassVar[bool] = True
    wiring: ClassVar[None] = None

    input_size: int
    units: int
    use_timespans: bool = False

    def __post_init__(self):
        require_positive(input_size=self.input_size, units=self.units)

    @property
    def state_size(self) -> int:
        return self.units

    @property
    def output_size(self) -> int:
        return self.units

    def table(self):
        return lstm.TABLE

    def sizes(self):
        return lstm.dimensions(self.input_size + self.use_timespans, self.units)

    def initial_state(self, zeros, batch):
        return zeros(batch, self.units), zeros(batch, self.units)

    def begin(self, xp, params, x, timespans, drops=None):
        x = with_time(xp, x, timespans) if self.use_timespans else x
        return {"recurrent": params["recurrent_weight"].T}, (project(xp, params, x),)

    def step(self, xp, constants, state, given):
        gates = add_matmul(xp, given[0], state[0], constants["recurrent"])
        hidden, memory = lstm.update(xp, gates, state[1])
        return hidden, (hidden, memory)


def with_time(xp, x, timespans):
    """x with the elapsed time as one more feature."""
    return xp.concatenate([x, timespans[..., None]], axis=-1)


def project(xp, params, x):
    """W x + b for all steps at once, (time, batch, gates)."""
    return linear(xp, xp.swapaxes(x, 0, 1), params["input_weight"], params["input_bias"])
