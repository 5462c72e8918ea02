"""CT-RNN: its differential equation, stability, time constants."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from shoal.equations import ctrnn
from shoal.neurons.ctrnn import CTRNN
from shoal.wirings import AutoNCP, Wiring

X = np.random.default_rng(0).normal(size=(2, 4, 3))


def params_of(rnn):
    return rnn.stack.layers[0].forward.params


def exact(rnn, x, timespans):
    """The solution of the differential equation, by scipy."""
    p = {name: np.asarray(value, float) for name, value in params_of(rnn).items()}
    tau = ctrnn.time_constant(np, p["tau"])
    v = np.zeros(rnn.state_size)
    for x_t, elapsed in zip(x, timespans, strict=True):
        drive = p["input_weight"] @ x_t + p["bias"]

        def slope(_, v, drive=drive):
            return -v / tau + np.tanh(drive + p["recurrent_weight"] @ v)

        v = solve_ivp(slope, (0, elapsed), v, rtol=1e-10, atol=1e-12).y[:, -1]
    return v


@pytest.mark.parametrize("solver", ["exponential", "euler"])
def test_converges_to_the_differential_equation(x64, solver):
    timespans = np.array([0.3, 1.0, 0.05, 0.6])
    errors = []
    for unfolds in (12, 24):
        options = {"ode_unfolds": unfolds, "solver": solver, "tau": 0.7, "dtype": jnp.float64}
        rnn = CTRNN(3, 5, **options, key=0)
        errors.append(np.abs(rnn(X[0], timespans=timespans)[1] - exact(rnn, X[0], timespans)).max())
    assert errors[1] < 0.02
    assert np.log2(errors[0] / errors[1]) == pytest.approx(1, abs=0.3)


def test_exponential_euler_is_exact_without_feedback(x64):
    rnn = CTRNN(3, 5, ode_unfolds=1, tau=0.7, dtype=jnp.float64, key=0)
    silent = jnp.zeros((5, 5))
    rnn = eqx.tree_at(lambda r: params_of(r)["recurrent_weight"], rnn, silent)
    timespans = np.array([0.3, 50.0, 0.05, 0.6])
    _, last = rnn(X[0], timespans=timespans)
    np.testing.assert_allclose(last, exact(rnn, X[0], timespans), atol=1e-8)


def test_only_the_exponential_step_survives_long_gaps():
    x, gap = jnp.asarray(np.tile(X, (1, 20, 1)), jnp.float32), 100.0
    stable = CTRNN(3, 5, tau=1.0, key=0)(x, timespans=gap)[0]
    assert float(jnp.abs(stable).max()) <= 1.0 + 1e-6  # τ·max|tanh|
    unstable = CTRNN(3, 5, tau=1.0, solver="euler", key=0)(x, timespans=gap)[0]
    assert not float(jnp.abs(unstable).max()) < 1e6


def test_elapsed_time_sets_the_step():
    rnn = CTRNN(3, 5, key=0)
    x = jnp.asarray(X, jnp.float32)
    start = jnp.full((2, 5), 0.5)
    np.testing.assert_allclose(rnn(x, start, 0.0)[1], start, rtol=1e-6)
    near, far = (np.abs(rnn(x, start, dt)[1] - start).max() for dt in (0.01, 1.0))
    assert near < 0.1 < far


def test_every_neuron_hears_the_others():
    rnn = CTRNN(3, 5, key=0)
    influence = jax.jit(jax.jacobian(lambda v: rnn(jnp.zeros((1, 3)), v)[1]))(jnp.zeros(5))
    assert (np.asarray(influence) != 0).all()


@pytest.mark.parametrize("tau", [0.01, 1.0, 300.0])
def test_time_constants_start_at_tau_and_stay_positive(tau):
    rnn = CTRNN(3, 5, tau=tau, key=0)
    learned = params_of(rnn)["tau"]
    np.testing.assert_allclose(ctrnn.time_constant(jnp, learned), tau, rtol=1e-4)
    assert (np.asarray(ctrnn.time_constant(jnp, learned - 20.0)) > 0).all()
    gradient = eqx.filter_grad(lambda r: r(jnp.asarray(X, jnp.float32))[1].sum())(rnn)
    assert (np.asarray(params_of(gradient)["tau"]) != 0).all()


def test_a_wiring_has_only_its_synapses():
    wiring = Wiring([[0, 1], [0, 0]], [[1, 0]], output_dim=1)
    rnn = CTRNN(1, wiring, key=0)
    assert rnn.output_size == 1
    assert rnn.synapse_count == 1
    gradient = eqx.filter_grad(lambda r: (r(jnp.ones((3, 1)))[1] ** 2).sum())(rnn)
    np.testing.assert_array_equal(params_of(gradient)["recurrent_weight"] != 0, [[0, 0], [1, 0]])
    np.testing.assert_array_equal(params_of(gradient)["input_weight"] != 0, [[1], [0]])
    assert CTRNN(3, AutoNCP(12, 2), key=0)(jnp.zeros((2, 5, 3)))[0].shape == (2, 5, 2)


WRONG = [
    ({"solver": "rk4"}, "`solver` must be one of exponential, euler; got 'rk4'"),
    ({"tau": 0.0}, "`tau` must be greater than 0, got 0.0"),
    ({"ode_unfolds": 0}, "`ode_unfolds` must be a whole number of at least 1, got 0"),
    ({"activation": "sin"}, "`activation` must be one of"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=str)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        CTRNN(3, 4, **options, key=0)
