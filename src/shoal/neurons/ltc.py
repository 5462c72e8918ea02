"""LTC: liquid time-constant neurons.

The step is computed again in the backward pass, faster than reading its insides back from memory.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from shoal.equations import ltc
from shoal.equations.checks import require_above_zero, require_one_of
from shoal.neurons.adaptive import solve
from shoal.neurons.cell import AbstractCell, scan_steps
from shoal.neurons.initialise import initialise
from shoal.neurons.memory import MixedMemory
from shoal.neurons.sequence import AbstractRNN, Arguments, record
from shoal.neurons.shared_matrix import dense
from shoal.neurons.stack import Stack, build_stack
from shoal.neurons.synapses import list_forces, matrix_forces, prefers_matrices
from shoal.wirings import FullyConnected, Wiring

SOLVERS = (*ltc.SOLVERS, "adaptive")


class LTCCell(AbstractCell):
    """The state is v, (batch, units), motor neurons first; the output is theirs."""

    steady = ("sigma", "mu", "erev", "sensory_sigma", "sensory_mu", "sensory_erev")

    params: dict[str, Array]
    wiring: Wiring = eqx.field(static=True)
    input_size: int = eqx.field(static=True)
    state_size: int = eqx.field(static=True)
    output_size: int = eqx.field(static=True)
    unfolds: int = eqx.field(static=True)
    solver: str = eqx.field(static=True)
    epsilon: float = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    implicit_param_constraints: bool = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        *,
        input_mapping: str | None = "affine",
        output_mapping: str | None = "affine",
        ode_unfolds: int = 6,
        solver: str = "semi_implicit",
        epsilon: float = 1e-8,
        tolerance: float = 1e-5,
        implicit_param_constraints: bool = True,
        dtype=jnp.float32,
        key: PRNGKeyArray,
    ):
        ltc.check(input_mapping, output_mapping, ode_unfolds, epsilon)
        require_one_of("solver", solver, SOLVERS)
        require_above_zero(tolerance=tolerance)
        wiring = units if isinstance(units, Wiring) else FullyConnected(units)
        self.wiring = wiring = wiring.build(input_size)
        self.input_size, self.state_size = input_size, wiring.units
        self.output_size = wiring.output_dim
        self.unfolds, self.solver = ode_unfolds, solver
        self.epsilon, self.tolerance = epsilon, tolerance
        self.implicit_param_constraints = implicit_param_constraints
        sizes = {"inputs": input_size, "units": wiring.units, "outputs": wiring.output_dim}
        matrices = {
            "adjacency": wiring.adjacency_matrix,
            "sensory_adjacency": wiring.sensory_adjacency_matrix,
        }
        table = ltc.table(input_mapping, output_mapping)
        self.params = initialise(table, sizes, key=key, dtype=dtype, matrices=matrices)

    def initial_state(self, batch):
        return jnp.zeros((batch, self.state_size), self.params["cm"].dtype)

    def constrained(self) -> LTCCell:
        """This cell with positive parameters clipped, unless a softplus keeps them positive."""
        if self.implicit_param_constraints:
            return self
        clipped = ltc.project(jnp, self.params, self.epsilon)
        return eqx.tree_at(lambda cell: cell.params, self, clipped)

    def physical(self) -> dict[str, Array]:
        """The parameters as the equation takes them: gleak, cm, w and sensory_w positive."""
        params = {name: dense(value) for name, value in self.params.items()}
        return ltc.positive(jnp, params) if self.implicit_param_constraints else params

    def run(self, x, timespans, mask, state, key):
        params = self.physical()
        x = jnp.swapaxes(ltc.affine(params, "input", x), 0, 1)
        mask = None if mask is None else mask.T
        few = self.solver != "adaptive" and prefers_matrices(self.wiring, state.shape[0])
        way = self._run_matrices if few else self._run_list
        outputs, state = way(params, x, timespans.T, mask, state)
        return ltc.affine(params, "output", jnp.swapaxes(outputs, 0, 1)), state

    def _run_matrices(self, params, x, timespans, mask, state):
        """Arrays are (time, batch, ...)."""
        forces_at = matrix_forces(self.wiring, params)

        def step(v, inputs):
            x_t, elapsed = inputs
            v = self._update(forces_at(x_t), v, elapsed[:, None], params["cm"])
            return v[:, : self.output_size], v

        return scan_steps(step, state, (x, timespans), mask, checkpoint=True)

    def _run_list(self, params, x, timespans, mask, state):
        """Arrays are (time, batch, ...); inside, the batch is the last axis."""
        cm = params["cm"][:, None]
        forces_at = list_forces(self.wiring, params)

        def step(v, inputs):
            x_t, elapsed = inputs
            v = self._update(forces_at(x_t), v, elapsed, cm)
            return v[: self.output_size], v

        def slope(v, x_t):
            return ltc.slope(forces_at(x_t), v, cm)

        def adaptive_step(v, inputs):
            v = solve(slope, v, inputs, self.tolerance)
            return v[: self.output_size], v

        step = adaptive_step if self.solver == "adaptive" else step
        inputs = (jnp.swapaxes(x, 1, 2), timespans)
        options = {"checkpoint": True, "batch_axis": -1}
        outputs, state = scan_steps(step, state.T, inputs, mask, **options)
        return jnp.swapaxes(outputs, 1, 2), state.T

    def _update(self, forces, v, elapsed, cm):
        options = {"solver": self.solver, "unfolds": self.unfolds, "epsilon": self.epsilon}
        return ltc.update(forces, v, elapsed, cm, **options)


class LTC(AbstractRNN):
    """Liquid time-constant neurons over irregular sequences.

        cm·dv/dt = gleak·(vleak − v) + Σ W·(erev − v) + Σ S·(sensory_erev − v)

    with synapses W = w·σ(sigma·(v_before − mu)) among the neurons, and S from the inputs; see
    `shoal.equations.ltc`. The neurons' time constants follow their input.

    Args:
        input_size: features of x.
        units: neurons, fully connected, or a `Wiring`, whose motor neurons are the output.
        proj_size: width of a linear projection of the output; None for none.
        return_sequences: every output, or only the last.
        mixed_memory: pass the hidden state through an LSTM before every step.
        input_mapping: of every feature before the synapses: "affine" w·x + b, "linear" w·x, None.
        output_mapping: of every motor neuron, likewise.
        ode_unfolds: steps of the solver for every observation.
        solver: "semi_implicit" (stable for every elapsed time), "euler", "rk4", or "adaptive"
            (Tsitouras 5(4) by diffrax, with as many steps as `tolerance` asks, of each series).
        epsilon: added to the conductance in the semi-implicit step.
        tolerance: relative and absolute, of the adaptive solver.
        implicit_param_constraints: keep gleak, cm and w positive by a softplus; False learns them
            as they are, and training clips them after each step.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer, applied when a key is given.
        initializer: of the projection and the memory; the neurons start from their own ranges.
        dtype: float32, bfloat16, float16 or float64.
        key: a JAX key or an int seed.

    Raises:
        ValueError: for unknown names and sizes below one.

    Source: Hasani et al. 2021, doi 10.1609/aaai.v35i9.16936.

    >>> from shoal.wirings import AutoNCP
    >>> rnn = LTC(3, AutoNCP(16, 2), key=0)
    >>> output, state = rnn(jnp.ones((4, 5, 3)), timespans=0.1)
    >>> output.shape, state.shape
    ((4, 5, 2), (4, 16))
    """

    stack: Stack
    return_sequences: bool = eqx.field(static=True)
    arguments: Arguments = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        *,
        proj_size: int | None = None,
        return_sequences: bool = True,
        mixed_memory: bool = False,
        input_mapping: str | None = "affine",
        output_mapping: str | None = "affine",
        ode_unfolds: int = 6,
        solver: str = "semi_implicit",
        epsilon: float = 1e-8,
        tolerance: float = 1e-5,
        implicit_param_constraints: bool = True,
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
        options = {
            "input_mapping": input_mapping,
            "output_mapping": output_mapping,
            "ode_unfolds": ode_unfolds,
            "solver": solver,
            "epsilon": epsilon,
            "tolerance": tolerance,
            "implicit_param_constraints": implicit_param_constraints,
            "dtype": dtype,
        }

        def make(size: int, key: PRNGKeyArray) -> AbstractCell:
            own, other = jax.random.split(key)
            cell = LTCCell(size, units, **options, key=own)
            if not mixed_memory:
                return cell
            return MixedMemory(cell, initializer=initializer, dtype=dtype, key=other)

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
