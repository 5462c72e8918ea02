"""CT-GRU: gated recurrent units that remember on many time scales, over irregular sequences."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from shoal.equations import ctgru
from shoal.neurons.cell import AbstractCell, scan_steps
from shoal.neurons.initialise import initialise
from shoal.neurons.memory import MixedMemory
from shoal.neurons.sequence import AbstractRNN, Arguments, record
from shoal.neurons.shared_matrix import where_exists
from shoal.neurons.stack import Stack, build_stack
from shoal.wirings import Wiring


class CTGRUCell(AbstractCell):
    """The state is every unit's traces, (batch, units, scales).

    The output is their sum h, or with a wiring the motor neurons' h.
    """

    params: dict[str, Array]
    wiring: Wiring | None = eqx.field(static=True)
    input_size: int = eqx.field(static=True)
    state_size: int = eqx.field(static=True)
    output_size: int = eqx.field(static=True)
    n_scales: int = eqx.field(static=True)
    min_tau: float = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        *,
        n_scales: int = 8,
        min_tau: float = 1.0,
        initializer=None,
        dtype=jnp.float32,
        key: PRNGKeyArray,
    ):
        self.wiring = units.build(input_size) if isinstance(units, Wiring) else None
        self.input_size = input_size
        self.state_size = units.units if isinstance(units, Wiring) else units
        self.output_size = units.output_dim if isinstance(units, Wiring) else units
        ctgru.check(self.state_size, n_scales, min_tau)
        self.n_scales, self.min_tau = n_scales, float(min_tau)
        sizes = ctgru.dimensions(input_size, self.state_size)
        options = {"key": key, "dtype": dtype, "initializer": initializer}
        self.params = initialise(ctgru.TABLE, sizes, **options)

    def initial_state(self, batch):
        dtype = self.params["event_bias"].dtype
        return jnp.zeros((batch, self.state_size, self.n_scales), dtype)

    def log_scales(self) -> Array:
        """ln τ_k, (scales,)."""
        return jnp.asarray(
            ctgru.log_scales(self.n_scales, self.min_tau), self.params["event_bias"].dtype
        )

    def signals(self):
        heard = (("x and h", self.input_size + self.state_size),)
        return {f"{part}_weight": heard for part in ctgru.PARTS}

    def run(self, x, timespans, mask, state, key):
        of_x, bias, gate_weight, event_weight = ctgru.split(jnp, self.weights(), self.input_size)
        projected = jnp.swapaxes(x, 0, 1) @ of_x.T + bias
        log_tau = self.log_scales()

        def step(traces, inputs):
            weights = (log_tau, gate_weight, event_weight)
            traces = ctgru.update(jnp, inputs[0], traces, inputs[1], *weights)
            return ctgru.visible(jnp, traces)[:, : self.output_size], traces

        mask = None if mask is None else mask.T
        inputs = (projected, timespans.T[..., None, None])
        outputs, state = scan_steps(step, state, inputs, mask, checkpoint=True)
        return jnp.swapaxes(outputs, 0, 1), state

    def weights(self) -> dict[str, Array]:
        """The parameters with 0 where the wiring has no synapse."""
        if self.wiring is None:
            return self.params
        both = self.wiring.sensory_adjacency_matrix, self.wiring.adjacency_matrix
        exists = np.concatenate(both).T != 0
        names = [f"{part}_weight" for part in ctgru.PARTS]
        return self.params | {name: where_exists(exists, self.params[name]) for name in names}


def _shown(traces: Array) -> Array:
    return ctgru.visible(jnp, traces)


def _shift(traces: Array, hidden: Array) -> Array:
    """The traces that show `hidden`: the change is shared equally."""
    return traces + ((hidden - _shown(traces)) / traces.shape[-1])[..., None]


class CTGRU(AbstractRNN):
    """Continuous-time gated recurrent units over irregular sequences.

        ĥ_k ← ĥ_k·e^(−Δt/τ_k);   q = tanh(W [x, Σ r_k ĥ_k] + b);   ĥ_k ← (1 − s_k)·ĥ_k + s_k·q

    with gates r and s that choose among the time scales τ_k; see `shoal.equations.ctgru`.

    Args:
        input_size: features of x.
        units: neurons, or a `Wiring`: then every weight matrix has only its synapses (their signs
            are learned), and its motor neurons are the output.
        n_scales: time scales of every neuron, each √10 times the one before.
        min_tau: the smallest, in the unit of the timespans; a typical time between observations.
        proj_size: width of a linear projection of the output; None for none.
        return_sequences: every output, or only the last.
        mixed_memory: pass the hidden state through an LSTM before every step.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer, applied when a key is given.
        initializer: of the weights, a name or function; None means Xavier-uniform.
        dtype: float32, bfloat16, float16 or float64.
        key: a JAX key or an int seed.

    Raises:
        ValueError: for sizes below one, or a `min_tau` that is not positive.

    Source: Mozer, Kazakov & Lindsey 2017, arXiv 1710.04110.

    >>> rnn = CTGRU(3, 8, key=0)
    >>> output, state = rnn(jnp.ones((2, 5, 3)), timespans=jnp.array([0.1, 0.5, 2.0, 0.1, 70.0]))
    >>> output.shape, state.shape
    ((2, 5, 8), (2, 8, 8))
    """

    stack: Stack
    return_sequences: bool = eqx.field(static=True)
    arguments: Arguments = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        *,
        n_scales: int = 8,
        min_tau: float = 1.0,
        proj_size: int | None = None,
        return_sequences: bool = True,
        mixed_memory: bool = False,
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
            own, other = jax.random.split(key)
            options = {"initializer": initializer, "dtype": dtype}
            cell = CTGRUCell(size, units, n_scales=n_scales, min_tau=min_tau, **options, key=own)
            if not mixed_memory:
                return cell
            return MixedMemory(cell, read=_shown, write=_shift, **options, key=other)

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
