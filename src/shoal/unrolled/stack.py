"""Layers of cells over sequences, in any array namespace.

h⁰ = x;   hˡ = dropout(cellˡ(hˡ⁻¹) [‖ cellˡ backwards])  [+ hˡ⁻¹];   output = hᴸ [Wᵀ + b]

Parameters are one flat mapping in the layout that every framework shares:

    stack.layers.0.forward.params.NAME       stack.layers.0.forward.cell.params.NAME (mixed memory)
    stack.layers.0.backward.params.NAME      stack.layers.0.forward.memory.NAME
    stack.projection.weight                  stack.projection.bias
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shoal.equations.checks import require_positive
from shoal.equations.parameters import Constant, Parameter, Weights
from shoal.unrolled.arrays import flip, linear
from shoal.unrolled.cell import Cell, inside
from shoal.unrolled.inputs import gaps_ahead
from shoal.unrolled.quick import quick

PROJECTION = (
    Parameter("weight", ("outputs", "inputs"), Weights()),
    Parameter("bias", ("outputs",), Constant(0.0)),
)

# (place, output) -> output, and what multiplies a cell's backbone: (place, shape) -> drops or None
Dropout = Callable[[str, Any], Any]
Drops = Callable[[str, Cell, tuple[int, int]], Any]


@dataclass(frozen=True)
class Layer:
    """One cell, or one for each direction."""

    forward: Cell
    backward: Cell | None = None

    @property
    def output_size(self) -> int:
        return self.forward.output_size * (1 if self.backward is None else 2)

    def directions(self) -> dict[str, Cell]:
        """The cells by name."""
        both = {"forward": self.forward, "backward": self.backward}
        return {name: cell for name, cell in both.items() if cell is not None}


@dataclass(frozen=True)
class Stack:
    """Layers on top of each other, and a linear projection of what the last one says."""

    layers: Sequence[Layer]
    proj_size: int | None = None
    residual: bool = False

    @property
    def input_size(self) -> int:
        return self.layers[0].forward.input_size

    @property
    def state_size(self) -> int:
        return self.layers[0].forward.state_size

    @property
    def output_size(self) -> int:
        return self.layers[-1].output_size if self.proj_size is None else self.proj_size

    def places(self) -> dict[str, Cell]:
        """Every cell by its place, such as "stack.layers.0.forward."."""
        return {
            f"stack.layers.{number}.{direction}.": cell
            for number, layer in enumerate(self.layers)
            for direction, cell in layer.directions().items()
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of everything learned, by its name in the layout.

        >>> from shoal.unrolled.gru import GRUCell
        >>> list(Stack([Layer(GRUCell(3, 4))], proj_size=2).shapes().items())[-2:]
        [('stack.projection.weight', (2, 4)), ('stack.projection.bias', (2,))]
        """
        found = {
            f"{place}{cell.prefix}{entry.name}": entry.sizes(cell.sizes())
            for place, cell in self.places().items()
            for entry in cell.table()
        }
        if self.proj_size is not None:
            sizes = {"outputs": self.proj_size, "inputs": self.layers[-1].output_size}
            found |= {f"stack.projection.{e.name}": e.sizes(sizes) for e in PROJECTION}
        return found

    def buffers(self) -> dict[str, np.ndarray]:
        """Every cell's constant arrays, by place and name."""
        return {
            f"{place}{cell.prefix}{name}": value
            for place, cell in self.places().items()
            for name, value in cell.buffers().items()
        }

    def initial_state(self, zeros: Callable[..., Any], batch: int) -> Any:
        """Zeros: one cell's state, or a tuple over layers (and directions)."""
        states = [
            [cell.initial_state(zeros, batch) for cell in layer.directions().values()]
            for layer in self.layers
        ]
        return _alone_or_many([_alone_or_many(state) for state in states])


def build_stack(
    make_cell: Callable[[int], Cell],
    input_size: int,
    *,
    num_layers: int = 1,
    bidirectional: bool = False,
    residual: bool = False,
    proj_size: int | None = None,
) -> Stack:
    """A stack of cells; `make_cell(input_size)` makes one.

    Raises:
        ValueError: for a size below one, or a residual connection that fits nowhere.
    """
    require_positive(input_size=input_size, num_layers=num_layers, proj_size=proj_size)
    layers, size, fits = [], input_size, False
    for _ in range(num_layers):
        layer = Layer(make_cell(size), make_cell(size) if bidirectional else None)
        fits |= layer.output_size == size
        layers.append(layer)
        size = layer.output_size
    if residual and not fits:
        raise ValueError(
            f"`residual` needs a layer as wide as its input, got input_size {input_size} and "
            f"output {size}; make them equal or use num_layers=2 or more."
        )
    return Stack(tuple(layers), proj_size, residual)


def run_stack(
    xp,
    stack: Stack,
    params: Mapping[str, Any],
    whole: bool,
    x,
    timespans,
    mask,
    state,
    *,
    dropout: Dropout | None = None,
    drops: Drops | None = None,
    compiled: Callable | None = None,
):
    """The output, all of it or the last, and the state after, of batched arrays.

    Args:
        xp: torch, mlx.core or numpy.
        stack: what to run.
        params: by place and name, buffers included.
        whole: every output, or each direction's last unmasked one.
        x: (batch, time, input); timespans: (batch, time); mask: (batch, time) or None.
        state: as of `initial_state`.
        dropout: (place, output) -> output, of every layer.
        drops: (place, cell, (time, batch)) -> what multiplies the cell's backbone.
        compiled: makes a cell's step fast.
    """
    xp = quick(xp)
    states = state if len(stack.layers) > 1 else (state,)
    after = []
    for number, (layer, before) in enumerate(zip(stack.layers, states, strict=True)):
        output, new = _run_layer(
            xp,
            layer,
            f"stack.layers.{number}.",
            params,
            x,
            timespans,
            mask,
            before,
            drops,
            compiled,
        )
        output = output if dropout is None else dropout(f"stack.layers.{number}.", output)
        output = zero_where_masked(xp, output, mask)
        x = output + x if stack.residual and output.shape[-1] == x.shape[-1] else output
        after.append(new)
    if not whole:
        x = _last_of_each_direction(xp, stack.layers[-1], x, mask)
    if stack.proj_size is not None:
        x = linear(xp, x, params["stack.projection.weight"], params["stack.projection.bias"])
        x = zero_where_masked(xp, x, mask) if whole else x
    return x, _alone_or_many(after)


def zero_where_masked(xp, output, mask):
    """0 where there is no observation."""
    return output if mask is None else xp.where(mask[..., None], output, xp.zeros_like(output))


def last_unmasked(xp, outputs, mask):
    """The output at every sample's last observation; the first row of nothing but padding."""
    if mask is None:
        return outputs[:, -1]
    seen = xp.cumsum(
        xp.where(mask, xp.ones_like(outputs[..., 0]), xp.zeros_like(outputs[..., 0])), 1
    )
    last = mask & (seen == seen[:, -1:])
    chosen = xp.where(last[..., None], outputs, xp.zeros_like(outputs)).sum(1)
    return xp.where(seen[:, -1:] > 0, chosen, outputs[:, 0])


def _alone_or_many(states: list[Any]) -> Any:
    return tuple(states) if len(states) > 1 else states[0]


def _run_layer(xp, layer, place, params, x, timespans, mask, state, drops, compiled):
    def run(direction, cell, x, timespans, mask, state):
        own = f"{place}{direction}."
        multipliers = None if drops is None else drops(own, cell, (x.shape[1], x.shape[0]))
        return cell.run(
            xp, inside(params, own + cell.prefix), x, timespans, mask, state, multipliers, compiled
        )

    if layer.backward is None:
        return run("forward", layer.forward, x, timespans, mask, state)
    ahead, first = run("forward", layer.forward, x, timespans, mask, state[0])
    gaps = gaps_ahead(xp, timespans, mask)
    back_mask = None if mask is None else flip(xp, mask, 1)
    back, second = run(
        "backward", layer.backward, flip(xp, x, 1), flip(xp, gaps, 1), back_mask, state[1]
    )
    return xp.concatenate([ahead, flip(xp, back, 1)], axis=-1), (first, second)


def _last_of_each_direction(xp, layer: Layer, outputs, mask):
    if layer.backward is None:
        return last_unmasked(xp, outputs, mask)
    size = layer.forward.output_size
    ahead, back = outputs[..., :size], flip(xp, outputs[..., size:], 1)
    flipped = None if mask is None else flip(xp, mask, 1)
    last = last_unmasked(xp, ahead, mask), last_unmasked(xp, back, flipped)
    return xp.concatenate(last, axis=-1)
