"""Mixed memory for loops over time: an LSTM, which has no clock, before a cell that has one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from shoal.equations import lstm
from shoal.unrolled.arrays import add_matmul
from shoal.unrolled.cell import Cell, inside
from shoal.unrolled.lstm import project


@dataclass(frozen=True)
class MixedMemory(Cell):
    """h, c ← LSTM(x, (h, c));   y, h ← cell(x, h, Δt).   The state is (the cell's state, c).

    Its parameters are `cell.params.NAME` and `memory.NAME`; its buffers are the cell's.
    """

    prefix: ClassVar[str] = ""

    cell: Cell

    @property
    def signed_time(self) -> bool:  # pyright: ignore
        return self.cell.signed_time

    @property
    def input_size(self) -> int:  # pyright: ignore
        return self.cell.input_size

    @property
    def state_size(self) -> int:  # pyright: ignore
        return self.cell.state_size

    @property
    def output_size(self) -> int:  # pyright: ignore
        return self.cell.output_size

    @property
    def wiring(self):  # pyright: ignore
        return self.cell.wiring

    def table(self):
        own = tuple(
            replace(
                entry,
                name=f"memory.{entry.name}",
                shape=tuple(f"memory.{dimension}" for dimension in entry.shape),
            )
            for entry in lstm.TABLE
        )
        inner = (replace(e, name=f"cell.{self.cell.prefix}{e.name}") for e in self.cell.table())
        return (*inner, *own)

    def sizes(self):
        own = lstm.dimensions(self.input_size, self.state_size)
        return self.cell.sizes() | {f"memory.{name}": size for name, size in own.items()}

    def matrices(self):
        return self.cell.matrices()

    def buffers(self):
        return self.cell.buffers()

    def initial_state(self, zeros, batch):
        return self.cell.initial_state(zeros, batch), zeros(batch, self.state_size)

    def begin(self, xp, params, x, timespans, drops=None):
        buffers = {name: value for name, value in params.items() if name.startswith("_")}
        inner = inside(params, f"cell.{self.cell.prefix}") | buffers
        constants, given = self.cell.begin(xp, inner, x, timespans, drops)
        memory = inside(params, "memory.")
        constants = constants | {"memory": memory["recurrent_weight"].T}
        return constants, (project(xp, memory, x), *given)

    def step(self, xp, constants, state, given):
        inner, memory = state
        gates = add_matmul(xp, given[0], self.cell.shown(xp, inner), constants["memory"])
        hidden, memory = lstm.update(xp, gates, memory)
        inner = self.cell.showing(xp, inner, hidden)
        output, inner = self.cell.step(xp, constants, inner, given[1:])
        return output, (inner, memory)
