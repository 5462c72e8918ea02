"""Pooling: each kind against its own definition, over several array namespaces."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from shoal.equations.outputs import Categorical, Normal
from shoal.equations.pooling import CLASSES, POINTS, Pool, pooled, weighted_median
from shoal.equations.prediction import Prediction

RNG = np.random.default_rng(0)
MEANS, STDS = RNG.normal(size=(5, 6, 2)), RNG.uniform(0.5, 2.0, (5, 6, 2))
LOGITS = RNG.normal(size=(5, 6, 3))
WEIGHTS = RNG.dirichlet(np.ones(5))
CASES = [(kind, MEANS) for kind in POINTS]
CASES += [(kind, Normal(MEANS, STDS)) for kind in POINTS if kind != "sum"]
CASES += [(kind, Categorical(LOGITS)) for kind in CLASSES]


def convert(make, outputs):
    if isinstance(outputs, Normal | Categorical):
        return type(outputs)(*map(make, outputs))
    return make(outputs)


@pytest.mark.parametrize("xp", [jnp, torch], ids=["jax", "torch"])
@pytest.mark.parametrize(("kind", "outputs"), CASES)
def test_every_namespace_pools_alike(x64, xp, kind, outputs):
    make = xp.asarray
    expected = pooled(np, Pool(kind), WEIGHTS, outputs)
    found = pooled(xp, Pool(kind), make(WEIGHTS), convert(make, outputs))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(one), other, atol=1e-12)


@pytest.mark.parametrize("per_row", [False, True])
def test_the_median_is_where_the_weights_reach_one_half(per_row):
    weights = RNG.dirichlet(np.ones(5), 6).T if per_row else WEIGHTS
    found = weighted_median(np, weights, MEANS)
    for row, column in np.ndindex(6, 2):
        own = weights[:, row] if per_row else weights
        values = MEANS[:, row, column]
        below = own[values < found[row, column]].sum()
        upto = own[values <= found[row, column]].sum()
        assert below < 0.5 <= upto


def test_equal_weights_and_an_odd_crowd_give_the_median():
    found = weighted_median(np, np.full(5, 0.2), MEANS)
    np.testing.assert_array_equal(found, np.median(MEANS, axis=0))


def test_votes_are_counted():
    found = Prediction(Categorical(LOGITS), np.full(5, 0.2), pool=Pool("vote")).probabilities
    counts = np.stack([np.bincount(row, minlength=3) for row in LOGITS.argmax(-1).T])
    np.testing.assert_allclose(found, counts / 5)


def test_the_logarithmic_pool_is_the_normalised_geometric_mean():
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    product = np.prod(p ** WEIGHTS[:, None, None], axis=0)
    found = Prediction(Categorical(LOGITS), WEIGHTS, pool=Pool("geometric")).probabilities
    np.testing.assert_allclose(found, product / product.sum(-1, keepdims=True))


def test_parts_of_a_sum_have_no_spread_of_their_own():
    p = Prediction(MEANS, np.ones(5), pool=Pool("sum", 3.0))
    np.testing.assert_allclose(p.mean, 3.0 + MEANS.sum(0))
    assert not p.std.any()
    assert np.isinf(p.interval(0.9)).all()


def test_coefficients_of_any_sign_have_a_spread_around_their_mean():
    c = np.array([1.5, -0.5, 0.2, 0.0, 0.1])
    p = Prediction(Normal(MEANS, STDS), c, pool=Pool("linear", 1.0))
    mean = 1.0 + np.tensordot(c, MEANS, 1)
    shares = np.abs(c) / np.abs(c).sum()
    np.testing.assert_allclose(p.mean, mean)
    np.testing.assert_allclose(p.epistemic, np.tensordot(shares, (MEANS - mean) ** 2, 1))
    np.testing.assert_allclose(p.aleatoric, np.tensordot(shares, STDS**2, 1))


@pytest.mark.parametrize(
    ("kind", "outputs", "message"),
    [
        ("vote", MEANS, "real numbers, which cannot be pooled by 'vote'"),
        ("median", Categorical(LOGITS), "classes, which cannot be pooled by 'median'"),
        ("sum", Normal(MEANS, STDS), "parts of a sum are numbers"),
        ("mode", MEANS, "must be one of mixture"),
    ],
)
def test_what_cannot_be_pooled_is_refused(kind, outputs, message):
    with pytest.raises(ValueError, match=message):
        _ = Prediction(outputs, WEIGHTS, pool=Pool(kind)).mean
