"""Which cells run as they are, and which have a form of their own that is faster in MLX."""

from __future__ import annotations

from dataclasses import fields, replace

from shoal.mlx.ltc_cell import SlottedLTCCell
from shoal.unrolled.cell import Cell
from shoal.unrolled.ltc import LTCCell
from shoal.unrolled.memory import MixedMemory
from shoal.unrolled.stack import Layer, Stack


def fast(stack: Stack) -> Stack:
    """The same stack, of cells whose steps suit MLX; what they learn is the same."""
    layers = tuple(
        Layer(*(None if cell is None else _fast(cell) for cell in (layer.forward, layer.backward)))
        for layer in stack.layers
    )
    return replace(stack, layers=layers)


def _fast(cell: Cell) -> Cell:
    if isinstance(cell, MixedMemory):
        return replace(cell, cell=_fast(cell.cell))
    if type(cell) is LTCCell:
        return SlottedLTCCell(**{field.name: getattr(cell, field.name) for field in fields(cell)})
    return cell
