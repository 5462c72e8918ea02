"""From a stack of cells to a layer: the call that every public neuron shares.

`CfC`, `LTC`, `CTRNN`, `CTGRU`, `LSTM` and `GRU` are this one machine over their own cell: their
constructors build a `Stack`, and `AbstractRNN` does the rest.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from shoal.neurons.cell import AbstractCell
from shoal.neurons.initialise import as_dtype, as_key
from shoal.neurons.inputs import as_sequences, check_state
from shoal.neurons.stack import Stack, run_stack


class Arguments(eqx.Module):
    """What a layer was made with, but for its key: enough to make another one like it."""

    items: tuple[tuple[str, Any], ...] = eqx.field(static=True)

    def as_dict(self) -> dict[str, Any]:
        return dict(self.items)


def record(arguments: dict[str, Any]) -> Arguments:
    """The arguments of a constructor, from its `locals()`.

    The key is left out, and so is every dropout rate: those are data, in the layer's leaves.
    """
    left_out = {"self", "key", "dropout", "__class__"}
    items = {name: value for name, value in arguments.items() if name not in left_out}
    items["dtype"] = str(as_dtype(items["dtype"]))
    return Arguments(tuple(items.items()))


class AbstractRNN(eqx.Module):
    """A recurrent layer over sequences; every public neuron is one.

    `output, state = rnn(x, state=None, timespans=None, *, mask=None, key=None)`
    """

    stack: eqx.AbstractVar[Stack]
    return_sequences: eqx.AbstractVar[bool]
    arguments: eqx.AbstractVar[Arguments]

    @property
    def input_size(self) -> int:
        """Features of x."""
        return self.stack.layers[0].forward.input_size

    @property
    def output_size(self) -> int:
        """Features of the output: both directions, after the projection."""
        return self.stack.output_size

    @property
    def state_size(self) -> int:
        """Neurons of one cell."""
        return self.stack.layers[0].forward.state_size

    @property
    def synapse_count(self) -> int:
        """Synapses between neurons, over all cells; a dense cell has one for every pair."""
        return sum(_synapses(cell) for cell in cells(self))

    def initial_state(self, batch: int) -> PyTree[Array]:
        """The state before the first observation, for a batch."""
        return self.stack.initial_state(batch)

    def __call__(
        self,
        x: Float[Array, "*batch time input"],
        state: PyTree[Array] | None = None,
        timespans: Float[Array, "*shape"] | float | None = None,
        *,
        mask: Bool[Array, "*batch time"] | None = None,
        key: PRNGKeyArray | int | None = None,
    ) -> tuple[Array, PyTree[Array]]:
        """Run over sequences.

        Args:
            x: observations, (batch, time, input) or (time, input).
            state: what an earlier call returned; None starts from zero.
            timespans: the time that elapsed before each observation: a scalar, (time,),
                (batch, time), or either with a trailing 1; None means 1.
            mask: False where there is no observation, (batch, time) or (time,). Such a step leaves
                the state as it was, its timespan is dropped, and its output is 0.
            key: randomness for dropout; None means inference.

        Returns:
            The output, (batch, time, output), or (batch, output) with `return_sequences=False`:
            the last unmasked one (each direction's own last one). Then the state after the last
            observation: the cell's, or a tuple over layers, each of them a pair over directions.
            Without a batch axis in x there is none in either.

        Raises:
            ValueError: for shapes that do not fit, and for negative timespans that can be seen.
        """
        return self._run(self.return_sequences, x, state, timespans, mask, key)

    def last_output(
        self,
        x: Float[Array, "*batch time input"],
        state: PyTree[Array] | None = None,
        timespans: Float[Array, "*shape"] | float | None = None,
        *,
        mask: Bool[Array, "*batch time"] | None = None,
        key: PRNGKeyArray | int | None = None,
    ) -> Float[Array, "*batch output"]:
        """The last unmasked output alone, whatever `return_sequences` says."""
        return self._run(False, x, state, timespans, mask, key)[0]

    def _run(self, whole: bool, x, state, timespans, mask, key):
        cell = self.stack.layers[0].forward
        sequences = as_sequences(
            x,
            timespans,
            mask,
            input_size=self.input_size,
            dtype=self.stack.dtype,
            signed_time=cell.signed_time,
        )
        x, timespans, mask, batched = sequences
        if state is not None:
            state = state if batched else jax.tree.map(lambda a: jnp.asarray(a)[None], state)
            check_state(state, eqx.filter_eval_shape(self.stack.initial_state, x.shape[0]))
        key = None if key is None else as_key(key)
        output, state = run_stack(self.stack, whole, x, timespans, mask, state, key)
        return (output, state) if batched else jax.tree.map(lambda a: a[0], (output, state))


def cells(rnn: AbstractRNN) -> list[AbstractCell]:
    """Every cell, layer by layer, forward before backward."""
    pairs = [(layer.forward, layer.backward) for layer in rnn.stack.layers]
    return [cell for pair in pairs for cell in pair if cell is not None]


def _synapses(cell: AbstractCell) -> int:
    wiring = getattr(cell, "wiring", None)
    return cell.state_size**2 if wiring is None else int(wiring.synapse_count)
