"""Loops over time as `torch.scan`: what is exported is one step, for sequences of any length."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch._higher_order_ops.scan import scan
from torch.utils import _pytree as pytree

from shoal.unrolled.cell import Cell
from shoal.unrolled.ltc import LTCCell
from shoal.unrolled.memory import MixedMemory
from shoal.unrolled.stack import Layer, Stack
from shoal.unrolled.synapses import Synapses


def scanned(stack: Stack) -> Stack:
    """The stack with all of its cells' loops as scans; for inference without a mask."""

    def changed(cell: Cell | None) -> Any:
        return None if cell is None else _Scanned(_at_once(cell))

    layers = [Layer(changed(layer.forward), changed(layer.backward)) for layer in stack.layers]
    return replace(stack, layers=tuple(layers))


def _at_once(cell: Cell) -> Cell:
    """The cell, an LTC of any length: what does not depend on its state comes in one piece."""
    if isinstance(cell, MixedMemory):
        return replace(cell, cell=_at_once(cell.cell))
    return _LTCCell(**vars(cell)) if isinstance(cell, LTCCell) else cell


class _LTCCell(LTCCell):
    @property
    def sensory(self):
        return _Synapses(self.wiring, "sensory_")


class _Synapses(Synapses):
    def over_time(self, xp, constants, before):
        inputs, time, batch = before.shape
        both = self.sums(xp, constants, before.reshape(inputs, time * batch))
        return both.reshape(both.shape[0], 2, time, batch)


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
        assert mask is None
        constants, given = self._cell.begin(xp, params, x, timespans, drops)

        def step(state, given_t):
            output, new = self._cell.step(xp, constants, state, given_t)
            return pytree.tree_map(_own, new), _own(output)

        state, outputs = scan(step, state, tuple(given))
        return xp.swapaxes(outputs, 0, 1), state


def _own(array: torch.Tensor) -> torch.Tensor:
    """A copy: what is carried and what goes out share no memory and have the strides of zeros."""
    return array.clone(memory_format=torch.contiguous_format)


def exportable(scan_over_time: bool) -> Any:
    """PyTorch as a namespace whose `cummax` exporters know: it is made of `maximum`."""
    return _Namespace(_scanned_maximum if scan_over_time else _unrolled_maximum)


class _Maximum(NamedTuple):
    values: torch.Tensor


class _Namespace:
    """PyTorch but for `cummax`."""

    __name__ = "torch"

    def __init__(self, cumulative_maximum: Any):
        self._cumulative_maximum = cumulative_maximum

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def cummax(self, array: torch.Tensor, dim: int) -> Any:
        """The `values` are the largest so far along axis 1."""
        assert dim == 1
        return _Maximum(self._cumulative_maximum(array))


def _scanned_maximum(array: torch.Tensor) -> torch.Tensor:
    def step(largest, now):
        largest = torch.maximum(largest, now)
        return largest, largest.clone()

    _, found = scan(step, _own(array[:, 0]), array.swapaxes(0, 1))
    return found.swapaxes(0, 1)


def _unrolled_maximum(array: torch.Tensor) -> torch.Tensor:
    found = [array[:, 0]]
    for now in array.unbind(1)[1:]:
        found.append(torch.maximum(found[-1], now))
    return torch.stack(found, 1)
