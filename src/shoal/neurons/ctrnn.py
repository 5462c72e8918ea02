"""CT-RNN: leaky integrators that feed back on each other, over irregular sequences."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from shoal.equations import ctrnn
from shoal.equations.activations import find_activation
from shoal.neurons.cell import AbstractCell, scan_steps
from shoal.neurons.initialise import initialise
from shoal.neurons.memory import MixedMemory
from shoal.neurons.remember import KEPT, kept, remembering
from shoal.neurons.sequence import AbstractRNN, Arguments, record
from shoal.neurons.shared_matrix import where_exists
from shoal.neurons.stack import Stack, build_stack
from shoal.wirings import Wiring


class CTRNNCell(AbstractCell):
    """The state is v, (batch, units); the output is v, or with a wiring the motor neurons' v."""

    params: dict[str, Array]
    wiring: Wiring | None = eqx.field(static=True)
    input_size: int = eqx.field(static=True)
    state_size: int = eqx.field(static=True)
    output_size: int = eqx.field(static=True)
    unfolds: int = eqx.field(static=True)
    solver: str = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        *,
        ode_unfolds: int = 6,
        solver: str = "exponential",
        tau: float = 1.0,
        activation: str = "tanh",
        initializer=None,
        dtype=jnp.float32,
        key: PRNGKeyArray,
    ):
        self.wiring = units.build(input_size) if isinstance(units, Wiring) else None
        self.input_size = input_size
        self.state_size = units.units if isinstance(units, Wiring) else units
        ctrnn.check(self.state_size, ode_unfolds, solver, tau, activation)
        self.output_size = units.output_dim if isinstance(units, Wiring) else units
        self.unfolds, self.solver, self.activation = ode_unfolds, solver, activation
        sizes = {"inputs": input_size, "units": self.state_size}
        options = {"key": key, "dtype": dtype, "initializer": initializer}
        self.params = initialise(ctrnn.table(tau), sizes, **options)

    def initial_state(self, batch):
        return jnp.zeros((batch, self.state_size), self.params["tau"].dtype)

    def run(self, x, timespans, mask, state, key):
        weight, recurrent = self.weights()
        projected = jnp.swapaxes(x, 0, 1) @ weight.T + self.params["bias"]
        tau = ctrnn.time_constant(jnp, self.params["tau"])
        activation, from_output = find_activation(self.activation), "tanh" in self.activation

        def drive(projected, v):
            pre = projected + v @ recurrent.T
            # only a tanh can be differentiated from its output
            return activation(remembering, pre if from_output else kept(pre))

        def step(v, inputs):
            options = {"solver": self.solver, "unfolds": self.unfolds}
            v = ctrnn.update(jnp, inputs[0], v, inputs[1], tau, drive, **options)
            return v[:, : self.output_size], v

        mask = None if mask is None else mask.T
        inputs = (projected, timespans.T[..., None])
        outputs, state = scan_steps(step, state, inputs, mask, keep=KEPT)
        return jnp.swapaxes(outputs, 0, 1), state

    def weights(self) -> tuple[Array, Array]:
        """W and U, 0 where the wiring has no synapse."""
        weight, recurrent = self.params["input_weight"], self.params["recurrent_weight"]
        if self.wiring is None:
            return weight, recurrent
        return (
            where_exists(self.wiring.sensory_adjacency_matrix.T != 0, weight),
            where_exists(self.wiring.adjacency_matrix.T != 0, recurrent),
        )


class CTRNN(AbstractRNN):
    """Continuous-time recurrent neurons over irregular sequences.

        dv/dt = −v/τ + f(W x + U v + b)

    integrated over the time that elapsed before each observation; see `shoal.equations.ctrnn`.

    Args:
        input_size: features of x.
        units: neurons, or a `Wiring`: then W and U have only its synapses (their signs are
            learned), and its motor neurons are the output.
        ode_unfolds: steps of the solver for every observation.
        solver: "exponential" (stable for every elapsed time) or "euler" (explicit; diverges for
            elapsed times beyond 2τ·ode_unfolds).
        tau: the time constant that every neuron starts from, in the unit of the timespans; greater
            than 0, and kept so by a softplus.
        activation: f: tanh, lecun_tanh, relu, gelu or silu.
        proj_size: width of a linear projection of the output; None for none.
        return_sequences: every output, or only the last.
        mixed_memory: pass the hidden state through an LSTM before every step.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer, applied when a key is given.
        initializer: of the weights, a name or function; None means Xavier-uniform W, orthogonal U.
        dtype: float32, bfloat16, float16 or float64.
        key: a JAX key or an int seed.

    Raises:
        ValueError: for unknown names, sizes below one, or a `tau` that is not positive.

    Source: Funahashi & Nakamura 1993, doi 10.1016/S0893-6080(05)80125-X.

    >>> rnn = CTRNN(3, 8, tau=10.0, key=0)
    >>> output, state = rnn(jnp.ones((2, 5, 3)), timespans=jnp.array([0.1, 0.5, 2.0, 0.1, 70.0]))
    >>> output.shape, state.shape
    ((2, 5, 8), (2, 8))
    """

    stack: Stack
    return_sequences: bool = eqx.field(static=True)
    arguments: Arguments = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        *,
        ode_unfolds: int = 6,
        solver: str = "exponential",
        tau: float = 1.0,
        activation: str = "tanh",
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
        own_options = {"ode_unfolds": ode_unfolds, "solver": solver}
        own_options |= {"tau": tau, "activation": activation}

        def make(size: int, key: PRNGKeyArray) -> AbstractCell:
            own, other = jax.random.split(key)
            options = {"initializer": initializer, "dtype": dtype}
            cell = CTRNNCell(size, units, **own_options, **options, key=own)
            return MixedMemory(cell, **options, key=other) if mixed_memory else cell

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
