"""Combination of members: moments, probabilities, and the same source in every namespace."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from shoal.equations import combine

RNG = np.random.default_rng(0)


def example(n=4, shape=(5, 3), batched=False):
    weights = combine.normalise(RNG.uniform(0.1, 1, (n, shape[0]) if batched else n))
    return weights, RNG.normal(size=(n, *shape)), RNG.uniform(0.5, 2, (n, *shape))


@given(st.integers(1, 6), st.booleans())
def test_total_variance_is_the_mixtures(n, batched):
    weights, means, stds = example(n, batched=batched)
    found = combine.moments(weights, means, stds)
    w = combine.expand(weights, means)
    second = (w * (means**2 + stds**2)).sum(0)
    np.testing.assert_allclose(found.total, second - found.mean**2, atol=1e-12)


def test_uniform_weights_divide_by_n():
    _, means, _ = example()
    found = combine.moments(np.full(4, 0.25), means)
    np.testing.assert_allclose(found.epistemic, means.var(axis=0))
    assert (found.aleatoric == 0).all()


def test_weights_per_row_pick_their_member():
    means = np.arange(6.0).reshape(2, 3)
    weights = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    np.testing.assert_array_equal(combine.weighted_mean(weights, means), [0.0, 4.0, 2.0])


def test_class_uncertainty_adds_up_and_matches_scipy():
    weights = combine.normalise(RNG.uniform(size=3))
    p = combine.softmax(np, RNG.normal(size=(3, 6, 4)))
    found = combine.class_moments(np, weights, p)
    np.testing.assert_allclose(found.mean.sum(-1), 1.0)
    np.testing.assert_allclose(found.total, scipy_entropy(found.mean, axis=-1))
    assert (found.epistemic > 0).all()


def test_identical_members_have_no_mutual_information():
    p = combine.softmax(np, np.broadcast_to(RNG.normal(size=(6, 4)), (3, 6, 4)))
    found = combine.class_moments(np, np.full(3, 1 / 3), p)
    np.testing.assert_allclose(found.epistemic, 0, atol=1e-12)


@pytest.mark.parametrize(("xp", "make"), [(jnp, jnp.asarray), (torch, torch.as_tensor)])
def test_one_source_for_every_namespace(xp, make):
    weights, means, stds = (a.astype(np.float32) for a in example())
    want = combine.moments(weights, means, stds)
    found = combine.moments(make(weights), make(means), make(stds))
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(np.asarray(a), b, rtol=1e-5)
    p = combine.softmax(np, means)
    np.testing.assert_allclose(np.asarray(combine.softmax(xp, make(means))), p, rtol=1e-5)
    entropy = np.asarray(combine.entropy(xp, make(p)))
    np.testing.assert_allclose(entropy, combine.entropy(np, p), rtol=1e-5)
