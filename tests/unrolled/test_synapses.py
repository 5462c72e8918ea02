"""Wirings at the edge: no synapses among the neurons, none from the inputs."""

import jax
import numpy as np
import pytest

import shoal
from shoal.bundle import parameters
from shoal.unrolled.inputs import as_sequences
from shoal.unrolled.plans import stack_of
from shoal.unrolled.stack import run_stack
from shoal.wirings import Wiring

WIRINGS = {
    "no inner": Wiring(np.zeros((3, 3), int), None, 2),
    "no sensory": Wiring([[0, 1, 0], [1, 0, 1], [0, 0, 0]], np.zeros((2, 3), int), 2),
    "none at all": Wiring(np.zeros((3, 3), int), np.zeros((2, 3), int), 2),
}


@pytest.mark.parametrize("name", WIRINGS)
def test_an_ltc_runs_without_synapses(x64, name):
    rnn = shoal.LTC(2, WIRINGS[name], dtype="float64", key=0)
    stack = stack_of("ltc", rnn.arguments.as_dict())
    x = np.random.default_rng(0).normal(size=(2, 4, 2))
    given = as_sequences(np, x, None, None, input_size=2)
    params = parameters(rnn) | stack.buffers()
    state = stack.initial_state(lambda *shape: np.zeros(shape), 2)
    found, _ = run_stack(np, stack, params, True, given.x, given.timespans, None, state)
    expected, _ = jax.jit(lambda x: rnn(x))(x)
    np.testing.assert_allclose(found, expected, atol=1e-12)
