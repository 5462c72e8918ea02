"""What goes on inside: every neuron's hidden state, observation by observation.

A layer answers with its outputs and its last state. Here its cells are run again one step at a
time, with the state kept before and after each: the same numbers, and all of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from shoal.equations import ctgru
from shoal.neurons.cell import AbstractCell
from shoal.neurons.ctgru import CTGRUCell
from shoal.neurons.inputs import as_sequences, gaps_ahead
from shoal.neurons.inspect import named_cells
from shoal.neurons.lstm import LSTMCell
from shoal.neurons.memory import MixedMemory
from shoal.neurons.model import SequenceModel
from shoal.neurons.sequence import AbstractRNN
from shoal.neurons.stack import run_layer


class Trajectory(NamedTuple):
    """What one cell's neurons hold after every observation.

    Attributes:
        hidden: (batch, time, neurons), what other neurons hear: h, or the potential v.
        memory: (batch, time, neurons), the c of an LSTM, or of a mixed memory; None without one.
        traces: (batch, time, neurons, scales), the traces of a CT-GRU; None for the others.
    """

    hidden: Array
    memory: Array | None = None
    traces: Array | None = None


class Visit(NamedTuple):
    """One cell with what it reads, and its states before and after every step.

    All in the order in which the cell reads, which `backwards` says; time is the second axis.
    `timespans` are what the cell is given, `raw` the same before they are scaled.
    """

    cell: AbstractCell
    backwards: bool
    x: Array
    timespans: Array
    raw: Array
    mask: Array | None
    before: PyTree[Array]
    after: PyTree[Array]


def trajectories(
    model: AbstractRNN | SequenceModel, x: Any, timespans: Any = None, mask: Any = None
) -> dict[str, Trajectory]:
    """Every neuron's hidden state after every observation, starting from state zero.

    Args:
        model: a recurrent layer, or a member made of one; not a stack of members.
        x: (batch, time, input) or (time, input), encoded as the model reads it.
        timespans: the time that elapsed before each observation, in any shape that the layer
            takes; raw for a `SequenceModel`, which scales them. None means 1.
        mask: False where there is no observation; the state stays as it was.

    Returns:
        One `Trajectory` for each cell, named as by `time_constants`. A backward cell's state at
        an observation is the one after it has read that observation and all that follow it.
        Without a batch axis in x there is none here.

    Raises:
        ValueError: for shapes that do not fit.

    >>> from shoal import LSTM
    >>> rnn = LSTM(3, 8, num_layers=2, key=0)
    >>> inside = trajectories(rnn, jnp.ones((2, 5, 3)))
    >>> list(inside), inside["LSTM layer 2"].memory.shape
    (['LSTM layer 1', 'LSTM layer 2'], (2, 5, 8))
    """
    rnn, sequences, batched = ready(model, x, timespans, mask)
    found = _trajectories(rnn, *sequences)
    return by_cell(rnn, found if batched else jax.tree.map(lambda a: a[0], found))


@eqx.filter_jit
def _trajectories(rnn: AbstractRNN, x, timespans, raw, mask) -> list[Trajectory]:
    visits = visit_cells(rnn, x, timespans, raw, mask)
    return [in_order(visit, held(visit.cell, visit.after)) for visit in visits]


def by_cell(rnn: AbstractRNN, found: list[Any]) -> dict[str, Any]:
    """One thing for each cell by the cell's name; those that are None are left out."""
    names = [name for name, _ in named_cells(rnn)]
    return {name: one for name, one in zip(names, found, strict=True) if one is not None}


def ready(model: AbstractRNN | SequenceModel, x, timespans, mask):
    """The layer, (x, timespans as it reads them, raw timespans, mask), and whether x is a batch.

    Raises:
        ValueError: for shapes that do not fit, for negative timespans, and for other models.
    """
    if not isinstance(model, AbstractRNN | SequenceModel):
        raise ValueError(
            f"`model` must be a recurrent layer or a SequenceModel, got {type(model).__name__}; "
            "take one member of a crowd with `crowd.population.member(0)`."
        )
    rnn = model.rnn if isinstance(model, SequenceModel) else model
    signed = isinstance(model, AbstractRNN) and rnn.stack.layers[0].forward.signed_time
    options = {"input_size": rnn.input_size, "dtype": rnn.stack.dtype, "signed_time": signed}
    x, raw, mask, batched = as_sequences(x, timespans, mask, **options)
    scaled = raw
    if isinstance(model, SequenceModel):
        x = x if model.feature_mask is None else model.feature_mask(x)
        scaled = model.time_scaling(raw)
        # a step that is not there takes no time, on any scale
        scaled = scaled if mask is None else jnp.where(mask, scaled, jnp.zeros((), raw.dtype))
    return rnn, (x, scaled, raw, mask), batched


def visit_cells(rnn: AbstractRNN, x, timespans, raw, mask) -> list[Visit]:
    """Every cell of a layer, in the order of `named_cells`, while it reads."""
    found = []
    for layer in rnn.stack.layers:
        start = layer.initial_state(x.shape[0])
        output, _ = run_layer(layer, x, timespans, mask, start, None)
        found.append(_visit(layer.forward, False, x, timespans, raw, mask))
        if layer.backward is not None:
            ahead = gaps_ahead(timespans, mask), gaps_ahead(raw, mask)
            turned = jax.tree.map(lambda a: jnp.flip(a, 1), (x, *ahead, mask))
            found.append(_visit(layer.backward, True, *turned))
        x = output + x if rnn.stack.residual and output.shape == x.shape else output
    return found


def _visit(cell: AbstractCell, backwards: bool, x, timespans, raw, mask) -> Visit:
    def step(state, inputs):
        x_t, elapsed, mask_t = inputs
        mask_t = None if mask_t is None else mask_t[:, None]
        _, new = cell.run(x_t[:, None], elapsed[:, None], mask_t, state, None)
        return new, (state, new)

    start = cell.initial_state(x.shape[0])
    inputs = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), (x, timespans, mask))
    _, states = jax.lax.scan(step, start, inputs)
    before, after = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), states)
    return Visit(cell, backwards, x, timespans, raw, mask, before, after)


def in_order(visit: Visit, tree: PyTree[Array]) -> PyTree[Array]:
    """Arrays (batch, time, ...) in the order of the observations."""
    return jax.tree.map(lambda a: jnp.flip(a, 1), tree) if visit.backwards else tree


def held(cell: AbstractCell, state: PyTree[Array]) -> Trajectory:
    """A cell's state by what it means; leading axes are kept.

    Raises:
        ValueError: for a state of many parts of a cell that is not known here.
    """
    if isinstance(cell, MixedMemory):
        return held(cell.cell, state[0])._replace(memory=state[1])
    if isinstance(cell, LSTMCell):
        return Trajectory(*state)
    if isinstance(cell, CTGRUCell):
        return Trajectory(ctgru.visible(jnp, state), traces=state)
    if not eqx.is_array(state):
        raise ValueError(
            f"the state of {type(cell).__name__} must be one array, got {type(state).__name__}; "
            "only the cells of shoal.neurons may have more parts."
        )
    return Trajectory(state)
