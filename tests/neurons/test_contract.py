"""What every neuron promises, one table for all of them."""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from shoal import CTGRU, CTRNN, GRU, LSTM, LTC, CfC
from shoal.neurons import partition
from shoal.wirings import AutoNCP

B, T, F = 3, 6, 3  # as many features as outputs, so that residual connections fit
WIRED = AutoNCP(8, F)
NEURONS = {
    "cfc": (CfC, {"units": F, "backbone_units": 5}),
    "cfc wired": (CfC, {"units": WIRED, "fully_recurrent": False, "mode": "no_gate"}),
    "cfc mixed": (CfC, {"units": F, "mixed_memory": True, "mode": "pure", "backbone_layers": 0}),
    "ltc": (LTC, {"units": WIRED, "ode_unfolds": 2}),
    "ctrnn": (CTRNN, {"units": F, "ode_unfolds": 2}),
    "ctgru": (CTGRU, {"units": F, "n_scales": 4}),
    "lstm": (LSTM, {"units": F}),
    "gru with time": (GRU, {"units": F, "use_timespans": True}),
}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(B, T, F)).astype(np.float32)
ELAPSED = RNG.uniform(0.0, 3.0, (B, T)).astype(np.float32)


@cache
def build(name, key, more):
    kind, options = NEURONS[name]
    return kind(F, **options, **dict(more), key=key)


@pytest.fixture(params=NEURONS)
def make(request):
    """A new neuron of the kind at hand; as it cannot change, made once for the same arguments."""
    return lambda key=0, **more: build(request.param, key, tuple(more.items()))


def same(left, right, tolerance=2e-6):
    left, right = jax.tree.leaves(left), jax.tree.leaves(right)
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def take(tree, index):
    return jax.tree.map(lambda a: a[index], tree)


def start_of(rnn):
    """The state before the first observation, given: one program for it and for what follows."""
    return rnn.stack.initial_state(B)


def alone(rnn, cell):
    """A neuron of one layer, with this cell in the place of its own."""
    return eqx.tree_at(lambda r: r.stack.layers[0].forward, rnn, cell)


def test_shapes_and_every_form_of_timespans(make):
    rnn = make()
    output, state = rnn(X, timespans=0.7)
    assert output.shape == (B, T, F)
    assert (rnn.input_size, rnn.output_size) == (F, F)
    assert all(leaf.shape[:2] == (B, rnn.state_size) for leaf in jax.tree.leaves(state))
    for shape in [(T,), (T, 1), (B, T), (B, T, 1)]:
        same(rnn(X, timespans=np.full(shape, 0.7)), (output, state))
    same(rnn(X), rnn(X, timespans=1.0))


def test_one_series_needs_no_batch(make):
    rnn = make()
    whole = rnn(X, timespans=ELAPSED)
    first, state = rnn(X[1, :3], timespans=ELAPSED[1, :3, None])
    second, state = rnn(X[1, 3:], state, ELAPSED[1, 3:])
    same((np.concatenate([first, second]), state), take(whole, 1))


def test_chunks_give_what_the_whole_gives(make):
    rnn = make(num_layers=2)
    whole, end = rnn(X, timespans=ELAPSED)
    first, state = rnn(X[:, :3], start_of(rnn), ELAPSED[:, :3])
    second, state = rnn(X[:, 3:], state, ELAPSED[:, 3:])
    same((np.concatenate([first, second], 1), state), (whole, end))


def test_masked_steps_might_as_well_not_be_there(make):
    rnn = make(num_layers=2)
    keep = np.array([0, 1, 4])
    mask = np.zeros((B, T), bool)
    mask[:, keep] = True
    holes = np.where(mask[..., None], X, np.nan)
    output, state = rnn(holes, timespans=np.where(mask, ELAPSED, -1.0), mask=mask)
    expected = rnn(X[:, keep], start_of(rnn), ELAPSED[:, keep])
    same((output[:, keep], state), expected)
    assert not np.any(output[:, [2, 3, 5]])


def test_both_directions_with_gaps_and_padding(make):
    rnn = make(bidirectional=True)
    assert rnn.output_size == 2 * F
    output, state = rnn(X, timespans=ELAPSED)
    ahead = np.concatenate([ELAPSED[:, 1:], np.zeros((B, 1))], 1)[:, ::-1].astype(np.float32)
    backward = alone(make(), rnn.stack.layers[0].backward)
    back, end = backward(X[:, ::-1], timespans=ahead)
    same((output[..., F:], state[1]), (back[:, ::-1], end))
    # padding at the end and a hole in the middle change nothing
    at = np.array([0, 1, 2, 4, 5, 6])
    longer, elapsed = np.full((B, T + 2, F), np.nan), np.full((B, T + 2), 9.0)
    longer[:, at], elapsed[:, at] = X, ELAPSED
    mask = np.isin(np.arange(T + 2), at)
    padded, padded_state = rnn(longer, timespans=elapsed, mask=mask)
    same((padded[:, at], padded_state), (output, state))


def test_the_last_output_is_the_last_unmasked_one(make):
    lengths = np.array([6, 2, 4])
    mask = np.arange(T) < lengths[:, None]
    whole, state = make()(X, timespans=ELAPSED, mask=mask)
    last, last_state = make(return_sequences=False)(X, timespans=ELAPSED, mask=mask)
    same((last, last_state), (whole[np.arange(B), lengths - 1], state))
    same(make(return_sequences=False)(X)[0], make()(X)[0][:, -1])


def test_gradients_are_finite_and_reach_every_parameter(make):
    rnn = make(bidirectional=True)
    mask = np.arange(T) < np.array([6, 1, 4])[:, None]
    x, elapsed = np.where(mask[..., None], X, np.nan), ELAPSED.copy()
    elapsed[:, 2] = 0.0
    trainable, rest = partition(rnn)

    def loss(params, x, elapsed):
        output, _ = eqx.combine(params, rest)(x, timespans=elapsed, mask=mask)
        return jnp.sum(output**2)

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(trainable, x, elapsed)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert all(np.any(leaf) for leaf in jax.tree.leaves(gradients[0]))
    assert np.any(gradients[1])
    assert not np.any(gradients[1][~mask])


def test_forward_mode_agrees_with_reverse_mode(make):
    rnn = make()

    def f(x):
        return jnp.sum(jnp.tanh(rnn(x, timespans=ELAPSED)[0]))

    @jax.jit
    def both(x):
        direction = jnp.ones_like(x)
        return jax.jvp(f, (x,), (direction,))[1], jnp.sum(jax.grad(f)(x) * direction)

    forward, reverse = both(X)
    same(forward, reverse, 1e-4)


def test_members_side_by_side(make):
    members = [make(key) for key in (3, 4)]
    stack = jax.tree.map(
        lambda *leaves: jnp.stack(leaves), *[eqx.filter(m, eqx.is_array) for m in members]
    )
    static = eqx.filter(members[0], eqx.is_array, inverse=True)
    together = jax.jit(jax.vmap(lambda a: eqx.combine(a, static)(X, timespans=ELAPSED)))(stack)
    for index, member in enumerate(members):
        same(take(together, index), member(X, timespans=ELAPSED), 1e-5)


@pytest.mark.parametrize("name", NEURONS)
def test_seeds_decide_everything(name):
    kind, options = NEURONS[name]
    compiled = jax.jit(lambda key: eqx.filter(kind(F, **options, key=key), eqx.is_array))
    same(compiled(jax.random.key(3)), eqx.filter(build(name, 3, ()), eqx.is_array))
    first, second = compiled(jax.random.key(3)), compiled(jax.random.key(4))
    weights = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    assert any(not np.array_equal(a, b) for a, b in weights)


@pytest.mark.parametrize("name", NEURONS)
def test_dtypes(name):
    def run(dtype):
        kind, options = NEURONS[name]
        rnn = kind(F, **options, dtype=dtype, key=0)
        return partition(rnn)[0], rnn(X, timespans=ELAPSED)

    leaves = jax.tree.leaves(jax.jit(run, static_argnums=0)("bfloat16"))
    assert {str(leaf.dtype) for leaf in leaves} == {"bfloat16"}
    assert all(np.isfinite(np.asarray(leaf, float)).all() for leaf in leaves)
    with jax.enable_x64(True):
        shapes = jax.tree.leaves(jax.eval_shape(lambda: run("float64")))
        assert {str(leaf.dtype) for leaf in shapes} == {"float64"}


def test_residual_and_projection(make):
    residual, one = make(num_layers=2, residual=True), make()
    h = X
    for layer in residual.stack.layers:
        h = h + alone(one, layer.forward)(h, timespans=ELAPSED)[0]
    same(residual(X, timespans=ELAPSED)[0], h, 1e-5)
    projected = make(proj_size=2)
    weight = projected.stack.projection
    assert projected.output_size == 2
    expected = alone(one, projected.stack.layers[0].forward)(X)[0] @ weight["weight"].T
    same(projected(X)[0], expected + weight["bias"], 1e-5)


def test_dropout_needs_a_key(make):
    rnn, plain = make(dropout=0.5), make()
    same(rnn(X), plain(X))
    dropped = np.asarray(rnn(X, key=1)[0])
    assert 0.2 < np.mean(dropped == 0) < 0.8
    same(rnn(X, key=1), rnn(X, key=jax.random.key(1)))
    kept = dropped != 0
    same(dropped[kept], 2 * np.asarray(plain(X)[0])[kept])
