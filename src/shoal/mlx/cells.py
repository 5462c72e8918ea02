"""Which cells run as they are, and which have a form of their own that is faster in MLX."""

from __future__ import annotations

from dataclasses import fields, replace

from shoal.mlx.cfc_cell import WholeCfCCell, WholeWiredCfCCell
from shoal.unrolled.cell import Cell
from shoal.unrolled.cfc import CfCCell
from shoal.unrolled.stack import Layer, Stack
from shoal.unrolled.wired_cfc import WiredCfCCell

_WHOLE = {CfCCell: WholeCfCCell, WiredCfCCell: WholeWiredCfCCell}


def fast(stack: Stack, *, regular: bool = False) -> Stack:
    """The same stack, of cells that suit MLX; what they learn and answer is the same.

    Args:
        stack: of the cells of `shoal.unrolled`.
        regular: for calls without timespans, where each observation comes 1 after the one before
            (read backwards, there is none before the first).
    """
    layers = tuple(
        Layer(_fast(layer.forward, regular), layer.backward and _fast(layer.backward, False))
        for layer in stack.layers
    )
    return replace(stack, layers=layers)


def _fast(cell: Cell, regular: bool) -> Cell:
    if type(cell) not in _WHOLE:  # a CfC with a memory goes step by step
        return cell
    own = {field.name: getattr(cell, field.name) for field in fields(cell)}  # pyright: ignore
    return _WHOLE[type(cell)](**own, regular=regular)
