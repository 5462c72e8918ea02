"""Dropout, with MLX's random numbers: entries are 0 with probability `rate`, the rest grow."""

from __future__ import annotations

import mlx.core as mx

from shoal.unrolled.cell import Cell


def drop(output: mx.array, rate: float) -> mx.array:
    """Inverted dropout (Srivastava et al. 2014)."""
    return output * multiplier(output.shape, rate, output.dtype)


def multiplier(shape: tuple[int, ...], rate: float, dtype: mx.Dtype) -> mx.array:
    """0 with probability `rate`, else 1/(1 − rate)."""
    kept = mx.random.bernoulli(1.0 - rate, shape)
    return kept.astype(dtype) * (1.0 / (1.0 - rate))


def backbone_drops(rate: float, dtype: mx.Dtype):
    """What `run_stack` asks for: of a cell at a place the multipliers of its backbone layers."""

    def drops(place: str, cell: Cell, steps: tuple[int, int]):
        cell = getattr(cell, "cell", cell)  # in a mixed memory
        count, width = getattr(cell, "backbone_layers", 0), getattr(cell, "backbone_units", 0)
        return tuple(multiplier((*steps, width), rate, dtype) for _ in range(count)) or None

    return drops
