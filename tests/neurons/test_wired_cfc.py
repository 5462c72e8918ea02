"""The wired CfC: layers side by side give what layers one after the other give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from shoal import CfC
from shoal.equations import cfc
from shoal.neurons.wired_cfc import synapses
from shoal.wirings import NCP, AutoNCP, Random

WIRING = NCP(4, 3, 2, 2, 2, 3, 2).build(3)
X = np.random.default_rng(0).normal(size=(2, 5, 3))
ELAPSED = np.random.default_rng(1).uniform(0, 2, (2, 5))


def one_layer_after_the_other(cell, x, elapsed):
    """Step by step with the whole equation, in NumPy."""
    layers = range(len(cell.wiring.layers))
    params = []
    for k in layers:
        prefix = f"layer_{k}_"
        own = {n.removeprefix(prefix): np.asarray(v) for n, v in cell.params.items() if prefix in n}
        for head in cfc.heads(cell.mode):
            own[f"{head}_weight"] = own[f"{head}_weight"] * synapses(
                cell.wiring, k, head, cell.fully_recurrent
            )
        params.append(own)
    states = [np.zeros((len(x), len(layer))) for layer in cell.wiring.layers]
    outputs = []
    for t in range(x.shape[1]):
        heard = x[:, t]
        for k in layers:
            given = (params[k], heard, states[k], elapsed[:, t, None])
            heard = states[k] = cfc.step(np, *given, mode=cell.mode)
        outputs.append(heard)
    return np.stack(outputs, 1), np.concatenate(states, 1)


@pytest.mark.parametrize("fully_recurrent", [True, False])
@pytest.mark.parametrize("mode", cfc.MODES)
def test_side_by_side_is_one_after_the_other(x64, mode, fully_recurrent):
    options = {"mode": mode, "fully_recurrent": fully_recurrent, "dtype": "float64"}
    rnn = CfC(3, WIRING, **options, key=0)
    output, state = rnn(X, timespans=ELAPSED)
    expected, end = one_layer_after_the_other(rnn.stack.layers[0].forward, X, ELAPSED)
    np.testing.assert_allclose(output, expected, atol=1e-12)
    np.testing.assert_allclose(state, end, atol=1e-12)


def heard_by(rnn, neuron, state=None):
    """Gradients of one neuron's next value: of its inputs, and of all neurons before."""
    state = jnp.zeros((1, rnn.state_size)) if state is None else state
    x = jnp.ones((1, 1, rnn.input_size))
    by_x, by_state = jax.jit(jax.grad(lambda x, h: rnn(x, h, 0.7)[1][0, neuron], (0, 1)))(x, state)
    return np.asarray(by_x[0, 0]), np.asarray(by_state[0])


@pytest.mark.parametrize("mode", ["default", "no_gate"])
def test_strict_wirings_let_nothing_else_through(mode):
    strict = CfC(3, WIRING, fully_recurrent=False, mode=mode, key=0)
    loose = CfC(3, WIRING, mode=mode, key=0)
    inter, command, _ = WIRING.layers
    leaks = 0
    for place, neuron in enumerate(inter):
        exists = WIRING.sensory_adjacency_matrix[:, neuron] != 0
        by_x, by_state = heard_by(strict, place)
        assert np.array_equal(by_x != 0, exists)
        assert not by_state.any()  # no recurrent synapse among inter neurons
        leaks += np.sum(heard_by(loose, place)[0][~exists] != 0)
    assert leaks > 0  # what ncps does, through its time gates
    for place, neuron in enumerate(command):
        own = WIRING.adjacency_matrix[list(command), neuron] != 0
        by_state = heard_by(strict, len(inter) + place)[1]
        assert np.array_equal(by_state[len(inter) : len(inter) + len(command)] != 0, own)


def test_a_single_layer_answers_with_its_motor_neurons():
    rnn = CfC(3, Random(6, output_dim=2), key=0)
    output, state = rnn(X)
    assert (rnn.output_size, rnn.state_size) == (2, 6)
    np.testing.assert_array_equal(output[:, -1], state[:, :2])


@pytest.mark.parametrize(
    "option", [{"backbone_units": 64}, {"backbone_layers": 1}, {"backbone_dropout": 0.0}]
)
def test_a_wiring_has_no_backbone(option):
    name = next(iter(option))
    with pytest.raises(ValueError, match=f"`{name}` cannot be used with a wiring"):
        CfC(3, AutoNCP(8, 2), **option, key=0)


def test_synapses_are_counted_and_wirings_rebuilt_for_every_layer():
    rnn = CfC(3, AutoNCP(8, 2), num_layers=2, bidirectional=True, key=0)
    counts = [AutoNCP(8, 2).build(n).synapse_count for n in (3, 4)]
    assert rnn.synapse_count == 2 * sum(counts)
    assert [layer.forward.input_size for layer in rnn.stack.layers] == [3, 4]
    assert rnn(X)[0].shape == (2, 5, 4)
