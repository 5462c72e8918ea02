"""LSTM: the baseline without a clock."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from shoal.equations import lstm
from shoal.equations.checks import require_positive
from shoal.neurons.cell import AbstractCell, scan_steps
from shoal.neurons.initialise import initialise
from shoal.neurons.remember import KEPT, remembering
from shoal.neurons.sequence import AbstractRNN, Arguments, record
from shoal.neurons.stack import Stack, build_stack


def with_time(x: Float[Array, "batch time input"], timespans) -> Array:
    """x with the elapsed time as one more feature."""
    return jnp.concatenate([x, timespans[..., None]], axis=-1)


class LSTMCell(AbstractCell):
    """The state is (h, c), both (batch, units)."""

    signed_time = True

    params: dict[str, Array]
    input_size: int = eqx.field(static=True)
    state_size: int = eqx.field(static=True)
    output_size: int = eqx.field(static=True)
    use_timespans: bool = eqx.field(static=True)

    def __init__(self, input_size, units, *, use_timespans=False, initializer=None, dtype, key):
        require_positive(units=units)
        self.input_size, self.state_size, self.output_size = input_size, units, units
        self.use_timespans = use_timespans
        sizes = lstm.dimensions(input_size + use_timespans, units)
        options = {"key": key, "dtype": dtype, "initializer": initializer}
        self.params = initialise(lstm.TABLE, sizes, **options)

    def initial_state(self, batch):
        zeros = jnp.zeros((batch, self.state_size), self.params["input_bias"].dtype)
        return zeros, zeros

    def run(self, x, timespans, mask, state, key):
        x = with_time(x, timespans) if self.use_timespans else x
        projected = jnp.swapaxes(project(self.params, x), 0, 1)
        recurrent = self.params["recurrent_weight"].T

        def step(state, projected_t):
            gates = projected_t + state[0] @ recurrent
            hidden, cell = lstm.update(remembering, gates, state[1])
            return hidden, (hidden, cell)

        mask = None if mask is None else mask.T
        outputs, state = scan_steps(step, state, projected, mask, keep=KEPT)
        return jnp.swapaxes(outputs, 0, 1), state


def project(params: dict[str, Array], x: Array) -> Array:
    """W x + b, for all steps at once."""
    return x @ params["input_weight"].T + params["input_bias"]


class LSTM(AbstractRNN):
    """Long short-term memory over sequences, as a baseline for liquid neurons.

        a, i, f, o = W x + U h + b
        c' = c·σ(f + 1) + tanh(a)·σ(i);   h' = tanh(c')·σ(o)

    Args:
        input_size: features of x.
        units: neurons.
        use_timespans: append the elapsed time Δt to the input; otherwise time is ignored.
        proj_size: width of a linear projection of the output; None for none.
        return_sequences: every output, or only the last.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate between layers and on the output, applied when a key is given.
        initializer: of the weights, a name or function; None keeps each weight's own.
        dtype: float32, bfloat16, float16 or float64.
        key: a JAX key or an int seed.

    Source: Hochreiter & Schmidhuber 1997, with the gate order and forget bias of `ncps`.

    >>> rnn = LSTM(3, 8, key=0)
    >>> output, (h, c) = rnn(jnp.zeros((2, 5, 3)))
    >>> output.shape, c.shape
    ((2, 5, 8), (2, 8))
    """

    stack: Stack
    return_sequences: bool = eqx.field(static=True)
    arguments: Arguments = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        units: int,
        *,
        use_timespans: bool = False,
        proj_size: int | None = None,
        return_sequences: bool = True,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
        initializer=None,
        dtype=jnp.float32,
        key: PRNGKeyArray | int,
    ):
        self.arguments = record(locals())
        self.return_sequences = return_sequences

        def make(size: int, key: PRNGKeyArray) -> AbstractCell:
            options = {"initializer": initializer, "dtype": dtype, "key": key}
            return LSTMCell(size, units, use_timespans=use_timespans, **options)

        self.stack = build_stack(
            make,
            input_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            residual=residual,
            dropout=dropout,
            proj_size=proj_size,
            initializer=initializer,
            dtype=dtype,
            key=key,
        )
