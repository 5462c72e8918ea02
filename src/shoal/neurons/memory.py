"""Mixed memory: a memory without a clock for neurons that have one."""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from shoal.equations import lstm
from shoal.neurons.cell import AbstractCell, scan_steps
from shoal.neurons.initialise import initialise
from shoal.neurons.lstm import project


def _itself(state: Array) -> Array:
    return state


def _replaced(state: Array, hidden: Array) -> Array:
    return hidden


class MixedMemory(AbstractCell):
    """A liquid cell whose hidden state passes through an LSTM before every step.

        h, c ← LSTM(x, (h, c));   y, h ← cell(x, h, Δt)

    The memory c has no clock, so that its gradient neither vanishes nor explodes with elapsed
    time. The state is (the cell's state, c). `read` and `write` say where a cell whose state is
    more than its hidden vector keeps that vector. Source: Lechner & Hasani 2020.
    """

    cell: AbstractCell
    memory: dict[str, Array]
    input_size: int = eqx.field(static=True)
    state_size: int = eqx.field(static=True)
    output_size: int = eqx.field(static=True)
    read: Callable[[PyTree], Array] = eqx.field(static=True)
    write: Callable[[PyTree, Array], PyTree] = eqx.field(static=True)

    def __init__(
        self,
        cell: AbstractCell,
        *,
        read=_itself,
        write=_replaced,
        initializer=None,
        dtype,
        key: PRNGKeyArray,
    ):
        self.cell, self.read, self.write = cell, read, write
        self.input_size, self.state_size = cell.input_size, cell.state_size
        self.output_size = cell.output_size
        sizes = lstm.dimensions(cell.input_size, cell.state_size)
        options = {"key": key, "dtype": dtype, "initializer": initializer}
        self.memory = initialise(lstm.TABLE, sizes, **options)

    @property
    def signed_time(self):  # pyright: ignore
        return self.cell.signed_time

    @property
    def wiring(self):
        return getattr(self.cell, "wiring", None)

    def initial_state(self, batch):
        zeros = jnp.zeros((batch, self.state_size), self.memory["input_bias"].dtype)
        return self.cell.initial_state(batch), zeros

    def run(self, x, timespans, mask, state, key):
        recurrent = self.memory["recurrent_weight"].T

        def step(state, inputs):
            projected_t, x_t, elapsed, key_t = inputs
            inner, memory = state
            gates = projected_t + self.read(inner) @ recurrent
            hidden, memory = lstm.update(jnp, gates, memory)
            inner = self.write(inner, hidden)
            output, inner = self.cell.run(x_t[:, None], elapsed[:, None], None, inner, key_t)
            return output[:, 0], (inner, memory)

        keys = None if key is None else jax.random.split(key, x.shape[1])
        sequences = (project(self.memory, x), x, timespans)
        inputs = tuple(jnp.swapaxes(a, 0, 1) for a in sequences)
        mask = None if mask is None else mask.T
        outputs, state = scan_steps(step, state, (*inputs, keys), mask)
        return jnp.swapaxes(outputs, 0, 1), state
