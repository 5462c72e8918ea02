"""What every liquid neuron promises as a sequence layer, over one table."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from shoal.neurons.ctgru import CTGRU
from shoal.neurons.ctrnn import CTRNN
from shoal.neurons.ltc import LTC
from shoal.wirings import AutoNCP

FAST = {"ode_unfolds": 2}
NEURONS = {  # beside those of test_contract.py
    "LTC mixed": lambda **options: LTC(3, 4, mixed_memory=True, **FAST, **options),
    "CTRNN wired": lambda **options: CTRNN(3, AutoNCP(9, 2), activation="gelu", **FAST, **options),
    "CTGRU wired": lambda **options: CTGRU(3, AutoNCP(9, 2), n_scales=3, **options),
    "CTGRU mixed": lambda **options: CTGRU(3, 6, mixed_memory=True, n_scales=4, **options),
}
every = pytest.mark.parametrize("make", NEURONS.values(), ids=NEURONS)
BATCH, TIME = 2, 4
RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(BATCH, TIME, 3)), jnp.float32)
SPANS = jnp.asarray(RNG.uniform(0, 3, (BATCH, TIME)), jnp.float32)
MASK = jnp.asarray([[1, 1, 0, 1], [0, 1, 1, 1]], bool)


def same(a, b, tolerance=1e-5):
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@every
def test_shapes_and_streaming(make):
    rnn = make(key=0)
    output, state = rnn(X, timespans=SPANS)
    start = rnn.initial_state(BATCH)
    assert output.shape == (BATCH, TIME, rnn.output_size)
    same(jax.tree.map(jnp.shape, state), jax.tree.map(jnp.shape, start))
    first, middle = rnn(X[:, :2], start, SPANS[:, :2])
    second, end = rnn(X[:, 2:], middle, SPANS[:, 2:])
    same((jnp.concatenate([first, second], 1), end), (output, state))


@every
def test_a_masked_step_leaves_the_state_untouched(make):
    rnn = make(key=0)
    spoiled = jnp.where(MASK[..., None], X, jnp.nan)
    elapsed = jnp.where(MASK, SPANS, 77.0)

    @eqx.filter_jit
    def run(rnn, state, mask):
        def loss(rnn):
            found = rnn(spoiled, state, elapsed, mask=mask)
            return found[0].sum(), found

        return eqx.filter_grad(loss, has_aux=True)(rnn)

    gradients, (output, state) = run(rnn, rnn.initial_state(BATCH), MASK)
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(gradients))
    kept = np.stack([np.flatnonzero(row) for row in MASK])
    rows = np.arange(BATCH)[:, None]
    alone, end = rnn(X[rows, kept], timespans=SPANS[rows, kept])
    same((output[rows, kept], state), (alone, end))
    nothing = run(rnn, state, jnp.zeros((BATCH, TIME), bool))[1][1]
    same(nothing, state, 0)


@every
def test_gradients_reach_parameters_and_times(make):
    rnn = make(key=0)

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(parts):
        rnn, elapsed = parts
        output, state = rnn(X, timespans=elapsed)
        return (output**2).sum() + (state[0] ** 2).sum()

    of_rnn, of_time = gradient((rnn, SPANS))
    leaves = jax.tree.leaves(of_rnn)
    assert all(jnp.isfinite(g).all() for g in leaves)
    assert sum(float(jnp.abs(g).sum()) for g in leaves) > 0
    assert (np.asarray(of_time)[:, 1:] != 0).all()


@every
def test_members_and_series_mapped_equal_those_alone(make):
    members = [make(key=seed) for seed in (1, 2)]
    arrays = [eqx.partition(member, eqx.is_array) for member in members]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(a for a, _ in arrays))

    def run(member):
        rnn = eqx.combine(member, arrays[0][1])
        return jax.vmap(lambda x, elapsed: rnn(x, timespans=elapsed))(X, SPANS)

    both = jax.jit(jax.vmap(run))(stacked)
    for index, member in enumerate(members):
        found = jax.tree.map(lambda leaf, index=index: leaf[index], both)
        same(member(X, timespans=SPANS), found)


@every
def test_computes_in_its_own_dtype(x64, make):
    for dtype, tolerance in {"bfloat16": 0.1, "float32": 1e-4}.items():
        rnn = make(key=0, dtype=dtype)
        output, state = rnn(X, timespans=SPANS)
        assert all(leaf.dtype == dtype for leaf in jax.tree.leaves((output, state)))
        exact = make(key=0, dtype="float64")
        values = [leaf.astype("float64") for leaf in jax.tree.leaves(eqx.filter(rnn, eqx.is_array))]
        arrays, rest = eqx.partition(exact, eqx.is_array)
        exact = eqx.combine(jax.tree.unflatten(jax.tree.structure(arrays), values), rest)
        expected, _ = exact(X, timespans=SPANS)
        assert expected.dtype == "float64"
        same(output.astype("float64"), expected, tolerance)


@every
def test_a_seed_says_everything(make):
    assert eqx.tree_equal(make(key=3), make(key=jax.random.key(3)))
    assert not eqx.tree_equal(make(key=3), make(key=4))
