"""GRU for loops over time; the equation is `shoal.equations.gru`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shoal.equations import gru
from shoal.equations.checks import require_positive
from shoal.unrolled.cell import Cell
from shoal.unrolled.lstm import project, with_time


@dataclass(frozen=True)
class GRUCell(Cell):
    """The state is h, (batch, units), and so is the output."""

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
        return gru.TABLE

    def sizes(self):
        return gru.dimensions(self.input_size + self.use_timespans, self.units)

    def begin(self, xp, params, x, timespans, drops=None):
        x = with_time(xp, x, timespans) if self.use_timespans else x
        constants = {
            "recurrent": params["recurrent_weight"].T,
            "candidate_bias": params["candidate_bias"],
        }
        return constants, (project(xp, params, x),)

    def step(self, xp, constants, state, given):
        heard = state @ constants["recurrent"]
        hidden = gru.update(xp, given[0], heard, constants["candidate_bias"], state)
        return hidden, hidden
