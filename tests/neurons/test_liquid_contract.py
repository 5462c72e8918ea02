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
NEURONS = {
    "LTC": lambda **options: LTC(3, AutoNCP(9, 2), **FAST, **options),
    "LTC mixed": lambda **options: LTC(3, 4, mixed_memory=True, **FAST, **options),
    "CTRNN": lambda **options: CTRNN(3, 6, **FAST, **options),
    "CTRNN wired": lambda **options: CTRNN(3, AutoNCP(9, 2), activation="gelu", **FAST, **options),
    "CTGRU": lambda **options: CTGRU(3, AutoNCP(9, 2), n_scales=3, **options),
    "CTGRU mixed": lambda **options: CTGRU(3, 6, mixed_memory=True, **options),
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
    assert output.shape == (BATCH, TIME, rnn.output_size)
    same(jax.tree.map(jnp.shape, state), jax.tree.map(jnp.shape, rnn.initial_state(BATCH)))
    first, middle = rnn(X[:, :2], timespans=SPANS[:, :2])
    second, end = rnn(X[:, 2:], middle, SPANS[:, 2:])
    same((jnp.concatenate([first, second], 1), end), (output, state))
    same(rnn(X[0], timespans=SPANS[0])[0], output[0])


@every
def test_a_masked_step_leaves_the_state_untouched(make):
    rnn = make(key=0)
    spoiled = jnp.where(MASK[..., None], X, jnp.nan)
    output, state = rnn(spoiled, timespans=jnp.where(MASK, SPANS, 77.0), mask=MASK)
    for b in range(BATCH):
        kept = np.flatnonzero(MASK[b])
        alone, end = rnn(X[b][kept], timespans=SPANS[b][kept])
        same(output[b][kept], alone)
        same(jax.tree.map(lambda leaf, b=b: leaf[b], state), end)
    gradients = eqx.filter_grad(lambda r: r(spoiled, timespans=SPANS, mask=MASK)[0].sum())(rnn)
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(gradients))
    nothing = rnn(X, rnn(X)[1], SPANS, mask=jnp.zeros((BATCH, TIME), bool))[1]
    same(nothing, rnn(X)[1], 0)


@every
def test_jit_vmap_and_gradient_agree_with_plain_calls(make):
    rnn = make(key=0)
    output, state = rnn(X, timespans=SPANS)
    same(eqx.filter_jit(lambda r, x: r(x, timespans=SPANS))(rnn, X), (output, state), 1e-6)
    same(jax.vmap(lambda x, dt: rnn(x, timespans=dt))(X, SPANS), (output, state))
    gradients = eqx.filter_grad(lambda r: (r(X, timespans=SPANS)[1][0] ** 2).sum())(rnn)
    leaves = jax.tree.leaves(gradients)
    assert all(jnp.isfinite(g).all() for g in leaves)
    assert sum(float(jnp.abs(g).sum()) for g in leaves) > 0
    of_time = jax.grad(lambda dt: (rnn(X, timespans=dt)[0] ** 2).sum())(SPANS)
    assert (np.asarray(of_time)[:, 1:] != 0).all()


@every
def test_members_stacked_equal_members_alone(make):
    members = [make(key=seed) for seed in (1, 2)]
    arrays = [eqx.partition(member, eqx.is_array) for member in members]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(a for a, _ in arrays))
    run = lambda a: eqx.combine(a, arrays[0][1])(X, timespans=SPANS)[0]  # noqa: E731
    both = jax.vmap(run)(stacked)
    for member, output in zip(members, both, strict=True):
        same(member(X, timespans=SPANS)[0], output)


@every
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_computes_in_its_own_dtype(x64, make, dtype):
    rnn = make(key=0, dtype=dtype)
    output, state = rnn(X, timespans=SPANS)
    assert all(leaf.dtype == dtype for leaf in jax.tree.leaves((output, state)))
    exact = make(key=0, dtype="float64")
    values = [leaf.astype("float64") for leaf in jax.tree.leaves(eqx.filter(rnn, eqx.is_array))]
    arrays, rest = eqx.partition(exact, eqx.is_array)
    exact = eqx.combine(jax.tree.unflatten(jax.tree.structure(arrays), values), rest)
    tolerance = {"bfloat16": 0.1, "float32": 1e-4, "float64": 0}[dtype]
    same(output.astype("float64"), exact(X, timespans=SPANS)[0], tolerance)


@every
def test_a_seed_says_everything(make):
    assert eqx.tree_equal(make(key=3), make(key=jax.random.key(3)))
    assert not eqx.tree_equal(make(key=3), make(key=4))
