"""Cells on top of each other, and how sequences run through them.

h⁰ = x;   hˡ = dropout(cellˡ(hˡ⁻¹) [‖ cellˡ backwards])  [+ hˡ⁻¹];   output = hᴸ [Wᵀ + b]
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from shoal.equations.checks import require_positive
from shoal.equations.parameters import Constant, Parameter, Weights
from shoal.neurons.cell import AbstractCell
from shoal.neurons.frozen import Dropout
from shoal.neurons.initialise import as_dtype, as_key, initialise
from shoal.neurons.inputs import gaps_ahead

# (input size, key) -> a new cell
MakeCell = Callable[[int, PRNGKeyArray], AbstractCell]

PROJECTION = (
    Parameter("weight", ("outputs", "inputs"), Weights()),
    Parameter("bias", ("outputs",), Constant(0.0)),
)


class Layer(eqx.Module):
    """One cell, or one for each direction, and the dropout of their outputs."""

    forward: AbstractCell
    backward: AbstractCell | None
    dropout: Dropout

    @property
    def output_size(self) -> int:
        return self.forward.output_size * (1 if self.backward is None else 2)

    def initial_state(self, batch: int) -> PyTree[Array]:
        state = self.forward.initial_state(batch)
        return state if self.backward is None else (state, self.backward.initial_state(batch))


class Stack(eqx.Module):
    """Layers on top of each other, and a linear projection of what the last one says."""

    layers: tuple[Layer, ...]
    projection: dict[str, Array] | None
    residual: bool = eqx.field(static=True)
    dtype: np.dtype = eqx.field(static=True)

    @property
    def output_size(self) -> int:
        if self.projection is None:
            return self.layers[-1].output_size
        return self.projection["bias"].shape[-1]

    def initial_state(self, batch: int) -> PyTree[Array]:
        """Zeros: one cell's state, or a tuple over layers (and directions)."""
        states = tuple(layer.initial_state(batch) for layer in self.layers)
        return states[0] if len(self.layers) == 1 else states


def build_stack(
    make_cell: MakeCell,
    input_size: int,
    *,
    num_layers: int = 1,
    bidirectional: bool = False,
    residual: bool = False,
    dropout: float = 0.0,
    proj_size: int | None = None,
    initializer=None,
    dtype=jnp.float32,
    key: PRNGKeyArray | int,
) -> Stack:
    """A stack of new cells, each with its own key.

    Raises:
        ValueError: for a size below one, or a residual connection that fits nowhere.
    """
    require_positive(input_size=input_size, num_layers=num_layers, proj_size=proj_size)
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"`dropout` must be at least 0 and below 1, got {dropout}.")
    dtype = as_dtype(dtype)
    *keys, last = jax.random.split(as_key(key), 2 * num_layers + 1)
    layers, size, fits = [], input_size, False
    for ahead, back in zip(keys[::2], keys[1::2], strict=True):
        cell = make_cell(size, ahead)
        layer = Layer(cell, make_cell(size, back) if bidirectional else None, Dropout(dropout))
        fits |= layer.output_size == size
        layers.append(layer)
        size = layer.output_size
    if residual and not fits:
        raise ValueError(
            f"`residual` needs a layer as wide as its input, got input_size {input_size} and "
            f"output {size}; make them equal or use num_layers=2 or more."
        )
    sizes = {"inputs": size, "outputs": proj_size or 0}
    options = {"key": last, "dtype": dtype, "initializer": initializer}
    projection = initialise(PROJECTION, sizes, **options) if proj_size is not None else None
    return Stack(tuple(layers), projection, residual, dtype)


@eqx.filter_jit
def run_stack(stack: Stack, whole: bool, x, timespans, mask, state, key):
    """The output, all of it or the last, and the state after, of batched arrays."""
    many = len(stack.layers) > 1
    state = stack.initial_state(x.shape[0]) if state is None else state
    state = jax.tree.map(lambda a: a.astype(stack.dtype), state)
    states = state if many else (state,)
    keys = [None] * len(stack.layers) if key is None else jax.random.split(key, len(stack.layers))
    after = []
    for layer, before, layer_key in zip(stack.layers, states, keys, strict=True):
        output, new = run_layer(layer, x, timespans, mask, before, layer_key)
        x = output + x if stack.residual and output.shape[-1] == x.shape[-1] else output
        after.append(new)
    if not whole:
        x = _last_of_each_direction(stack.layers[-1], x, mask)
    if stack.projection is not None:
        x = x @ stack.projection["weight"].T + stack.projection["bias"]
        if whole and mask is not None:
            x = jnp.where(mask[..., None], x, jnp.zeros((), x.dtype))
    return x, (tuple(after) if many else after[0])


def run_layer(layer: Layer, x, timespans, mask, state, key) -> tuple[Array, PyTree[Array]]:
    """Outputs of both directions side by side, 0 where masked, and the state after."""
    keys = [None] * 3 if key is None else jax.random.split(key, 3)
    if layer.backward is None:
        output, state = layer.forward.run(x, timespans, mask, state, keys[0])
    else:
        ahead, first = layer.forward.run(x, timespans, mask, state[0], keys[0])
        gaps = gaps_ahead(timespans, mask)
        x, gaps, back_mask = jax.tree.map(lambda a: jnp.flip(a, 1), (x, gaps, mask))
        back, second = layer.backward.run(x, gaps, back_mask, state[1], keys[1])
        output, state = jnp.concatenate([ahead, jnp.flip(back, 1)], -1), (first, second)
    output = layer.dropout(output, keys[2])
    if mask is not None:
        output = jnp.where(mask[..., None], output, jnp.zeros((), output.dtype))
    return output, state


def last_unmasked(
    outputs: Float[Array, "batch time output"], mask: Bool[Array, "batch time"] | None
) -> Float[Array, "batch output"]:
    """The output at every sample's last observation; the first row of nothing but padding."""
    if mask is None:
        return outputs[:, -1]
    ahead = jnp.argmax(jnp.flip(mask, 1), axis=1)
    last = outputs.shape[1] - 1 - ahead
    return jnp.take_along_axis(outputs, last[:, None, None], axis=1)[:, 0]


def _last_of_each_direction(layer: Layer, outputs: Array, mask) -> Array:
    if layer.backward is None:
        return last_unmasked(outputs, mask)
    ahead, back = jnp.split(outputs, [layer.forward.output_size], axis=-1)
    flipped = None if mask is None else jnp.flip(mask, 1)
    last = last_unmasked(ahead, mask), last_unmasked(jnp.flip(back, 1), flipped)
    return jnp.concatenate(last, axis=-1)
