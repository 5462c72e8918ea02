"""What every cell of this package is: an `nn.Module` that holds the parameters of one plan.

The plan, a cell of `shoal.unrolled`, says what is learned and computes; the module gives its
tensors the names that PyTorch's users know, and moves, saves and trains them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from shoal.torch.initialise import Initializer, draw
from shoal.torch.inputs import as_elapsed, check_columns, like
from shoal.unrolled.cell import Cell


class Neuron(nn.Module):
    """One recurrent cell; subclasses say where each parameter of the plan's table is."""

    plan: Cell

    def _adopt(self, plan: Cell, device=None) -> None:
        """Computes as `plan` does from now on, with its constant arrays as buffers."""
        self.plan = plan
        self._constants = tuple(plan.buffers())
        for name, value in plan.buffers().items():
            tensor = torch.as_tensor(value, device=device)
            self.register_buffer(f"constant{name}", tensor, persistent=False)

    def _make(self, device=None, dtype=None) -> None:
        """A parameter for every entry of the table that has no place yet."""
        sizes = self.plan.sizes()
        for entry in self.plan.table():
            empty = torch.empty(entry.sizes(sizes), device=device, dtype=dtype)
            self.register_parameter(entry.name, nn.Parameter(empty))

    @property
    def input_size(self) -> int:
        """Features of an observation."""
        return self.plan.input_size

    @property
    def state_size(self) -> int:
        """Neurons."""
        return self.plan.state_size

    @property
    def output_size(self) -> int:
        """Features of the output."""
        return self.plan.output_size

    def path(self, name: str) -> str:
        """Where the parameter that the table calls `name` is."""
        return name

    def learned(self) -> dict[str, Tensor]:
        """The parameters by the table's names."""
        return {entry.name: self._at(self.path(entry.name)) for entry in self.plan.table()}

    def taken(self) -> dict[str, Tensor]:
        """What the plan computes with: parameters and constant arrays."""
        return self.learned() | self.constants()

    def constants(self) -> dict[str, Tensor]:
        """The plan's constant arrays by its names."""
        return {name: getattr(self, f"constant{name}") for name in self._constants}

    def _at(self, path: str) -> Any:
        found: Any = self
        for name in path.split("."):
            found = getattr(found, name)
        return found

    def reset_parameters(self, initializer: str | Initializer | None = None) -> None:
        """Draws every parameter anew."""
        matrices = self.plan.matrices()
        for entry in self.plan.table():
            draw(self._at(self.path(entry.name)), entry, initializer, matrices)

    def _advance(self, input: Tensor, state: Any, elapsed: Any) -> tuple[Tensor, Any]:
        """One observation, (batch, input), in the module's dtype."""
        params = self.taken()
        first = next(iter(params.values()))
        check_columns("input", input, self.plan.input_size)
        elapsed = as_elapsed(elapsed, input.shape[0], first)
        state = like(first, state)
        return self.plan.single(torch, params, like(first, input), elapsed, state)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.state_size}"
