"""CT-GRU: Mozer's equations, written a second time, and what they promise."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from shoal.equations import ctgru
from shoal.neurons.ctgru import CTGRU
from shoal.wirings import Wiring

X = np.random.default_rng(0).normal(size=(4, 3))


def params_of(rnn):
    return rnn.stack.layers[0].forward.params


def softmax(scores):
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def reference(rnn, x, timespans, min_tau=1.0, scales=8):
    """The paper's steps in NumPy, one unit after the other."""
    p = {name: np.asarray(value, float) for name, value in params_of(rnn).items()}
    units = rnn.state_size
    taus = min_tau * np.sqrt(10.0) ** np.arange(scales)
    traces = np.zeros((units, scales))
    for x_t, elapsed in zip(x, timespans, strict=True):
        traces = traces * np.exp(-elapsed / taus)
        both = np.concatenate([x_t, traces.sum(1)])
        wanted = {
            gate: p[f"{gate}_weight"] @ both + p[f"{gate}_bias"]
            for gate in ("retrieval", "storage")
        }
        r, s = (
            np.stack([softmax(-((wanted[gate][i] - np.log(taus)) ** 2)) for i in range(units)])
            for gate in ("retrieval", "storage")
        )
        event = np.concatenate([x_t, (r * traces).sum(1)])
        q = np.tanh(p["event_weight"] @ event + p["event_bias"])
        traces = (1 - s) * traces + s * q[:, None]
    return traces


@pytest.mark.parametrize("min_tau", [1.0, 0.05])
def test_is_mozers_unit(x64, min_tau):
    rnn = CTGRU(3, 5, min_tau=min_tau, dtype=jnp.float64, key=0)
    for gate in ("retrieval", "storage"):  # gates that want scales far outside the range, too
        rnn = eqx.tree_at(
            lambda r, gate=gate: params_of(r)[f"{gate}_weight"], rnn, replace_fn=lambda w: 9 * w
        )
    timespans = np.array([0.3, 40.0, 0.0, 2.0])
    output, last = rnn(X, timespans=timespans)
    expected = reference(rnn, X, timespans, min_tau)
    np.testing.assert_allclose(last, expected, atol=1e-12)
    np.testing.assert_allclose(output[-1], expected.sum(-1), atol=1e-12)


def test_an_event_after_a_long_gap_is_visible():
    rnn = CTGRU(3, 5, key=0)
    events = jnp.zeros((2, 3, 3)).at[1, -1].set(2.0)
    timespans = jnp.array([1.0, 1.0, 1e9])  # the longest scale is 3162
    without, event = rnn(events, timespans=timespans)[0][:, -1]
    assert float(jnp.abs(event - without).max()) > 0.1
    gradient = jax.jit(jax.grad(lambda x: rnn(x, timespans=timespans[None])[0][:, -1].sum()))(
        events[1:]
    )
    assert float(jnp.abs(gradient[0, -1]).max()) > 0.01


def test_what_came_before_a_long_gap_is_forgotten_and_after_a_short_one_is_not():
    rnn = CTGRU(3, 5, key=0)
    x = jnp.zeros((2, 2, 3)).at[1, 0].set(2.0)
    changes = []
    for gap in (0.1, 1e9):
        output, _ = rnn(x, timespans=jnp.array([1.0, gap]))
        changes.append(float(jnp.abs(output[1, -1] - output[0, -1]).max()))
    assert changes[0] > 0.05
    assert changes[1] < 1e-6


def test_scales_are_two_to_a_decade():
    scales = np.exp(ctgru.log_scales(5, 0.2))
    np.testing.assert_allclose(scales[0], 0.2)
    np.testing.assert_allclose(scales[1:] / scales[:-1], np.sqrt(10))


def test_gates_stay_finite_whatever_they_want():
    wanted = jnp.array([-1e6, -3.0, 0.0, 4.0, 1e6], jnp.float32)
    chosen = ctgru.choose(jnp, wanted, jnp.asarray(ctgru.log_scales(), jnp.float32))
    np.testing.assert_allclose(chosen.sum(-1), 1.0, rtol=1e-6)
    assert chosen[0, 0] == 1.0
    assert chosen[-1, -1] == 1.0


def test_mixed_memory_replaces_what_is_shown(x64):
    from shoal.neurons.ctgru import _shift, _shown

    traces = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 8)))
    hidden = jnp.ones((2, 5))
    np.testing.assert_allclose(_shown(_shift(traces, hidden)), hidden)
    rnn = CTGRU(3, 5, mixed_memory=True, key=0)
    assert rnn(jnp.zeros((2, 4, 3)))[0].shape == (2, 4, 5)


def test_a_wiring_has_only_its_synapses():
    wiring = Wiring([[0, 1], [0, 1]], [[1, 0]], output_dim=1)
    rnn = CTGRU(1, wiring, key=0)
    assert rnn.output_size == 1
    gradient = eqx.filter_grad(lambda r: (r(jnp.ones((5, 1)))[1] ** 2).sum())(rnn)
    for part in ctgru.PARTS:
        exists = np.array([[1, 0, 0], [0, 1, 1]])
        np.testing.assert_array_equal(
            np.asarray(params_of(gradient)[f"{part}_weight"]) != 0, exists
        )


WRONG = [
    ({"n_scales": 0}, "`n_scales` must be a whole number of at least 1, got 0"),
    ({"min_tau": -1.0}, "`min_tau` must be greater than 0, got -1.0"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=str)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        CTGRU(3, 4, **options, key=0)
