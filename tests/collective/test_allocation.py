"""Allocation: shares, fractions and draws keep their sums, whatever the scores."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shoal.collective import SwarmTokenAllocation
from shoal.collective.allocation import allocate
from shoal.collective.allocation_draws import capped, draw, log_probability

TOKENS = 7
X = jax.random.normal(jax.random.key(9), (5, TOKENS, 4))
MASK = jnp.arange(TOKENS) < jnp.array([7, 6, 5, 4, 3])[:, None]
scores = arrays(np.float32, (3, TOKENS), elements=st.floats(-200, 200, width=32))
shares = arrays(np.float32, (TOKENS,), elements=st.floats(-200, 200, width=32))

allocate_jit = jax.jit(allocate, static_argnames="iterations")
capped_jit = jax.jit(capped)
draw_jit = jax.jit(draw, static_argnums=1)


@given(scores, st.floats(0.05, 20), st.floats(0, 0.95), st.integers(1, TOKENS))
@settings(max_examples=60, deadline=None)
def test_shares_sum_to_one_and_nothing_goes_to_masked_tokens(scores, temperature, pull, kept):
    mask = jnp.arange(TOKENS) < kept
    options = {"temperature": temperature, "pull": pull, "mask": mask}
    found = allocate_jit(scores, **options)
    assert float(found.shares.sum()) == pytest.approx(1, abs=1e-5)
    assert (found.shares >= 0).all()
    assert (found.shares[kept:] == 0).all()
    assert not jnp.isnan(found.log_shares).any()
    np.testing.assert_allclose(found.scorers.sum(-1), 1, atol=1e-5)


@given(shares, st.floats(0, TOKENS))
@settings(max_examples=150, deadline=None)
def test_fractions_sum_to_the_budget_and_none_exceeds_one(log_shares, budget):
    found = np.asarray(capped_jit(log_shares, budget))
    assert found.sum() == pytest.approx(budget, abs=1e-4)
    assert (found >= 0).all()
    assert (found <= 1).all()
    order = np.argsort(log_shares)
    assert (np.diff(found[order]) >= -1e-6).all()  # who has more gets no less


@given(shares, st.integers(1, TOKENS - 1))
@settings(max_examples=60, deadline=None)
def test_those_below_one_keep_their_proportions(log_shares, budget):
    found = np.asarray(capped_jit(log_shares, float(budget)), float)
    below = (found < 0.999) & (found > 1e-30)
    if below.sum() > 1:
        scale = np.log(found[below]) - log_shares[below]
        np.testing.assert_allclose(scale, scale[0], atol=1e-3)
        assert (
            log_shares[~below & (found > 0.5)] + scale[0] >= -1e-2
        ).all()  # they would exceed it


def test_fractions_are_the_nearest_in_relative_entropy():
    """Against a general-purpose optimiser."""
    from scipy.optimize import minimize

    p, budget = np.array([0.6, 0.2, 0.1, 0.07, 0.03]), 2.5
    found = np.asarray(capped(jnp.log(jnp.asarray(p)), budget))
    best = minimize(
        lambda f: np.sum(f * np.log(f / (budget * p)) - f),
        np.full(5, 0.5),
        bounds=[(1e-9, 1)] * 5,
        constraints={"type": "eq", "fun": lambda f: f.sum() - budget},
    )
    np.testing.assert_allclose(found, best.x, atol=1e-3)


def test_a_budget_that_is_none_or_all():
    log_shares = jnp.where(MASK, 0.3, -jnp.inf)
    assert (capped(log_shares, 0) == 0).all()
    np.testing.assert_array_equal(capped(log_shares, TOKENS), MASK)
    np.testing.assert_allclose(capped(log_shares, 4).sum(-1), [4, 4, 4, 4, 3], rtol=1e-6)


def test_one_scorer_alone_and_scorers_that_agree_stay_at_their_softmax():
    own = jax.random.normal(jax.random.key(0), (1, TOKENS))
    for given_scores in (own, jnp.tile(own, (4, 1))):
        found = allocate_jit(given_scores, temperature=0.5).shares
        np.testing.assert_allclose(found, jax.nn.softmax(own[0] / 0.5), rtol=1e-5)


def test_steps_bring_the_scorers_together_and_converge():
    given_scores = jax.random.normal(jax.random.key(0), (6, TOKENS))

    def spread(n):
        return float(allocate_jit(given_scores, iterations=n).scorers.std(0).mean())

    def shares_after(n):
        return allocate_jit(given_scores, iterations=n).shares

    assert spread(0) > 1.5 * spread(5)
    np.testing.assert_allclose(shares_after(40), shares_after(60), atol=1e-6)
    assert jnp.abs(shares_after(0) - shares_after(5)).max() > 1e-3


def test_no_step_is_the_mean_and_the_temperature_counts():
    given_scores = jax.random.normal(jax.random.key(0), (6, TOKENS))
    plain = allocate(given_scores, iterations=0).shares
    np.testing.assert_allclose(plain, jax.nn.softmax(given_scores).mean(0), rtol=1e-5)
    one = given_scores[:1]
    cold, hot = (allocate_jit(one, temperature=t).shares.max() for t in (0.01, 100.0))
    assert cold > 0.99
    assert hot == pytest.approx(1 / TOKENS, rel=0.05)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_by_finite_differences(masked):
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        given_scores, values = rng.normal(size=(3, TOKENS)), rng.normal(size=TOKENS)
        mask = jnp.arange(TOKENS) < 5 if masked else None

        @jax.jit
        def total(given_scores):
            found = allocate(given_scores, temperature=0.4, mask=mask)
            fractions = capped(found.log_shares, 4.0)
            return (values * (fractions + found.shares)).sum()

        found = allocate_jit(given_scores, temperature=0.4, mask=mask)
        fractions = capped(found.log_shares, 4.0)
        assert (fractions == 1).any()  # the cap takes part
        assert ((fractions > 0) & (fractions < 1)).any()
        found = jax.jit(jax.grad(total))(jnp.asarray(given_scores))
        for place in np.ndindex(given_scores.shape):
            step = np.zeros(given_scores.shape)
            step[place] = 1e-6
            slope = (total(given_scores + step) - total(given_scores - step)) / 2e-6
            assert float(found[place]) == pytest.approx(float(slope), abs=1e-7)


P = np.array([0.5, 0.25, 0.15, 0.1])


def test_draws_follow_the_plackett_luce_distribution():
    n = 20_000
    log_p = jnp.broadcast_to(jnp.log(jnp.asarray(P)), (n, 4))
    drawn = draw_jit(log_p, 2, jax.random.key(0))
    pairs = {}
    for i, j in itertools.permutations(range(4), 2):
        pairs[i, j] = P[i] * P[j] / (1 - P[i])
        told = jnp.exp(log_probability(jnp.log(jnp.asarray(P)), jnp.array([i, j])))
        assert float(told) == pytest.approx(pairs[i, j], rel=1e-5)
    assert sum(pairs.values()) == pytest.approx(1)
    counts = np.zeros((4, 4))
    np.add.at(counts, tuple(np.asarray(drawn.indices).T), 1)
    chi2 = sum((counts[k] - n * p) ** 2 / (n * p) for k, p in pairs.items())
    assert chi2 < 31.3  # 11 degrees of freedom: once in a thousand
    assert np.trace(counts) == 0


@given(shares, st.sampled_from([1, 3, TOKENS]), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_nothing_is_drawn_twice(log_shares, budget, seed):
    drawn = draw_jit(log_shares, budget, jax.random.key(seed))
    assert len(set(drawn.indices.tolist())) == budget
    wanted = np.isin(np.arange(TOKENS), drawn.indices)
    np.testing.assert_array_equal(drawn.chosen, wanted)


def test_what_was_drawn_has_the_gradient_of_the_fractions():
    log_p, values = jnp.log(jnp.asarray(P, jnp.float32)), jnp.arange(4.0)
    key = jax.random.key(0)
    found = jax.jit(jax.grad(lambda a: (draw(a, 2, key).chosen * values).sum()))(log_p)
    wanted = jax.jit(jax.grad(lambda a: (capped(a, 2) * values).sum()))(log_p)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert (found != 0).any()


def test_the_layer_and_its_masks():
    layer = SwarmTokenAllocation(4, key=0)
    assert layer.iterations == 5
    assert layer.temperature == 1.0
    found = layer(X, mask=MASK)
    assert found.shape == (5, TOKENS)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)
    assert (found[~MASK] == 0).all()
    row = layer(X[2, :5])  # the same without its padding
    np.testing.assert_allclose(found[2, :5], row, rtol=1e-4)
    tokens = layer.tokens(X, 3, mask=MASK)
    np.testing.assert_allclose(tokens.sum(-1), 3, rtol=1e-5)
    drawn = layer.sample(X, 3, key=0, mask=MASK)
    assert (np.take_along_axis(np.asarray(MASK), np.asarray(drawn.indices), -1)).all()
    again = layer.sample(X, 3, key=jax.random.key(0), mask=MASK)
    np.testing.assert_array_equal(again.indices, drawn.indices)


def test_compiled_mapped_and_differentiated():
    layer = SwarmTokenAllocation(4, key=0)
    found = eqx.filter_jit(lambda layer, x: layer.tokens(x, 2))(layer, X)
    mapped = jax.jit(jax.vmap(lambda x: layer.tokens(x, 2)))(X)
    np.testing.assert_allclose(mapped, found, rtol=1e-4)

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(layer):
        return (layer.tokens(X, 2, mask=MASK) ** 2).sum()

    slope = gradient(layer)
    weight = slope.params["weight"]
    assert jnp.isfinite(weight).all()
    assert (weight != 0).any()
    low = SwarmTokenAllocation(4, dtype="bfloat16", key=0)
    assert jax.eval_shape(low, X.astype("bfloat16")).dtype == jnp.bfloat16


def test_what_cannot_be_is_refused():
    layer = SwarmTokenAllocation(4, key=0)
    with pytest.raises(ValueError, match="sampling needs `key`"):
        layer.sample(X, 2)
    with pytest.raises(ValueError, match="`budget` must be a whole number of tokens"):
        layer.sample(X, 1.5, key=0)  # pyright: ignore
    for wrong in (-1, TOKENS + 1):
        with pytest.raises(ValueError, match="`budget` must be from 0 to the number of tokens, 7"):
            layer.tokens(X, wrong)
    with pytest.raises(ValueError, match=r"`x` must be \(batch, tokens, features\) with 4"):
        layer(X[..., :3])
    with pytest.raises(ValueError, match=r"`mask` must be \(batch, tokens\) = \(5, 7\), got"):
        layer(X, mask=MASK.T)
    with pytest.raises(ValueError, match="`temperature` must be above 0, got 0"):
        SwarmTokenAllocation(4, temperature=0, key=0)
    with pytest.raises(ValueError, match=r"`pull` must lie in \[0, 1\), got 1"):
        SwarmTokenAllocation(4, pull=1, key=0)
    with pytest.raises(ValueError, match="`iterations` must be at least 0, got -1"):
        SwarmTokenAllocation(4, iterations=-1, key=0)
    with pytest.raises(ValueError, match="`in_size` and `n_scorers` must be at least 1"):
        SwarmTokenAllocation(4, 0, key=0)
