"""Cells whose loop over time is `torch.scan`: what is exported is one step, at any length."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch.utils import _pytree as pytree

from shoal.unrolled.cell import Cell
from shoal.unrolled.stack import Layer, Stack


def scanned(stack: Stack) -> Stack:
    """The stack with all of its cells' loops as scans; for inference without a mask."""

    def changed(cell: Cell | None) -> Any:
        return None if cell is None else _Scanned(cell)

    layers = [Layer(changed(layer.forward), changed(layer.backward)) for layer in stack.layers]
    return replace(stack, layers=tuple(layers))


class _Scanned:
    """A cell in every respect but how it runs."""

    def __init__(self, cell: Cell):
        self._cell = cell

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.__dict__["_cell"], name)

    def run(self, xp, params, x, timespans, mask, state, drops=None, compiled=None):
        """Every output, (batch, time, output), and the last state."""
        from torch._higher_order_ops.scan import scan

        assert mask is None
        constants, given = self._cell.begin(xp, params, x, timespans, drops)

        def step(state, given_t):
            output, new = self._cell.step(xp, constants, state, given_t)
            # what goes in, is carried and goes out must not share memory
            return pytree.tree_map(torch.clone, new), output.clone()

        state, outputs = scan(step, state, tuple(given))
        return xp.swapaxes(outputs, 0, 1), state
