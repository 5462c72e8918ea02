"""Votes: identities to the last bit, ties, straight-through gradients, and every namespace."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shoal.equations import combine, voting

mx = pytest.importorskip("mlx.core")
RNG = np.random.default_rng(0)
NAMESPACES = {"jax": (jnp, jnp.asarray), "torch": (torch, torch.as_tensor), "mlx": (mx, mx.array)}


def probabilities(members=5, batch=7, classes=4):
    return combine.softmax(np, 2 * RNG.normal(size=(members, batch, classes))).astype(np.float32)


@given(st.floats(1e-30, 1e30), st.integers(1, 9))
@settings(max_examples=50)
def test_equal_confidences_are_the_soft_vote_to_the_last_bit(c, members):
    p = probabilities(members)
    soft = voting.soft_vote(np, p)
    same = voting.soft_vote(np, p, np.full((members, 7), c, np.float32))
    for a, b in zip(soft, same, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", NAMESPACES)
def test_equal_confidences_are_the_soft_vote_everywhere(name):
    xp, make = NAMESPACES[name]
    p, c = make(probabilities()), make(np.full((5, 7), 0.3, np.float32))
    votes = [voting.soft_vote(xp, p).probabilities, voting.soft_vote(xp, p, c).probabilities]
    np.testing.assert_array_equal(*(np.asarray(v) for v in votes))


def test_the_soft_vote_is_the_uniform_mean_of_combine():
    p = probabilities()
    uniform = combine.weighted_mean(np.full((5, 7), 1 / np.float32(5), np.float32), p)
    np.testing.assert_array_equal(voting.soft_vote(np, p).probabilities, uniform)


@pytest.mark.parametrize("vote", [voting.soft_vote, voting.hard_vote])
def test_a_one_hot_confidence_selects_its_member(vote):
    p = probabilities()
    found = vote(np, p, np.array([0.0, 0.0, 0.7, 0.0, 0.0])).probabilities
    wanted = p[2] if vote is voting.soft_vote else voting.first_greatest(np, p[2])
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("kind", voting.CONFIDENCES)
def test_confidence_lies_between_torn_and_sure(kind):
    p = np.array([[1.0, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.4, 0.1]])
    sure, torn, between = voting.confidence(np, p, kind)
    assert sure == 1.0
    assert torn == pytest.approx({"probability": 1 / 3, "entropy": 0}[kind], abs=1e-12)
    assert torn < between < sure


def test_nobody_sure_means_all_alike():
    p = np.full((3, 2, 4), 0.25)
    found = voting.soft_vote(np, p, np.zeros((3, 2)))
    np.testing.assert_array_equal(found.weights, np.full((3, 2), 1 / 3))


@given(arrays(np.float64, (4, 3, 5), elements=st.floats(-3, 3)), st.booleans())
@settings(max_examples=60)
def test_votes_are_distributions_within_the_members_range(logits, hard):
    p = combine.softmax(np, logits)
    vote = voting.hard_vote if hard else voting.soft_vote
    found = vote(np, p, voting.confidence(np, p))
    np.testing.assert_allclose(found.probabilities.sum(-1), 1)
    np.testing.assert_allclose(found.weights.sum(0), 1)
    np.testing.assert_allclose(found.shares.sum(-1), 1)
    if hard:
        assert set(np.unique(found.probabilities)) == {0.0, 1.0}
    else:
        assert (found.probabilities <= p.max(0) + 1e-12).all()
        assert (found.probabilities >= p.min(0) - 1e-12).all()


def test_the_hard_vote_counts_as_bincount_does():
    p = probabilities(members=7, batch=50, classes=3)
    wanted = [np.bincount(column, minlength=3).argmax() for column in p.argmax(-1).T]
    found = voting.hard_vote(np, p, ties="lowest").probabilities.argmax(-1)
    np.testing.assert_array_equal(found, wanted)


def test_ties_are_broken_as_said():
    p = np.array([[[0.6, 0.4, 0.0]], [[0.1, 0.9, 0.0]]])  # one vote each
    assert voting.hard_vote(np, p).probabilities.tolist() == [[0, 1, 0]]
    assert voting.hard_vote(np, p, ties="lowest").probabilities.tolist() == [[1, 0, 0]]
    never = np.array([[[0.4, 0.3, 0.3]], [[0.3, 0.4, 0.3]]])  # the third has no vote at all
    assert voting.hard_vote(np, never).probabilities.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("members", range(2, 15, 2))
def test_equal_counts_tie_exactly_whoever_cast_them(members):
    order = RNG.permutation(members)
    p = np.where((order < members // 2)[:, None, None], [[[0.6, 0.4]]], [[[0.3, 0.7]]])
    shares = voting.hard_vote(np, p.astype(np.float32)).shares
    np.testing.assert_array_equal(shares, [[0.5, 0.5]])


def test_the_geometric_vote_is_the_normalised_geometric_mean():
    p = probabilities()
    wanted = np.exp(np.log(p).mean(0))
    found = voting.geometric_vote(np, np.log(p)).probabilities
    np.testing.assert_allclose(found, wanted / wanted.sum(-1, keepdims=True), rtol=1e-5)


def gradient(name, function, p):
    """d Σ target·vote / d p."""
    if name == "jax":
        return jax.jit(jax.grad(lambda p: function(jnp, p).sum()))(jnp.asarray(p))
    if name == "mlx":
        return mx.grad(lambda p: function(mx, p).sum())(mx.array(p))
    p = torch.tensor(p, requires_grad=True)
    function(torch, p).sum().backward()
    return p.grad


@pytest.mark.parametrize("name", NAMESPACES)
def test_the_hard_votes_gradient_is_the_soft_votes(name):
    p, target = probabilities(3, 2, 4), RNG.normal(size=4).astype(np.float32)
    make = NAMESPACES[name][1]

    def score(vote):
        return lambda xp, p: vote(xp, p).probabilities * make(target)

    hard = np.asarray(gradient(name, score(voting.hard_vote), p))
    soft = np.asarray(gradient(name, score(voting.soft_vote), p))
    np.testing.assert_array_equal(hard, soft)
    np.testing.assert_allclose(soft, np.broadcast_to(target / 3, p.shape), rtol=1e-6)


@pytest.mark.parametrize("kind", voting.CONFIDENCES)
def test_confidence_gradients_by_finite_differences(kind):
    logits, target = RNG.normal(size=(3, 1, 4)), RNG.normal(size=4)

    def score(xp, logits):
        p = combine.softmax(xp, logits)
        vote = voting.soft_vote(xp, p, voting.confidence(xp, p, kind))
        return (vote.probabilities * target).sum()

    with jax.enable_x64(True):
        found = jax.jit(jax.grad(lambda a: score(jnp, a)))(logits)
    for place in np.ndindex(logits.shape):
        step = np.zeros(logits.shape)
        step[place] = 1e-5
        slope = (score(np, logits + step) - score(np, logits - step)) / 2e-5
        assert float(found[place]) == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("name", NAMESPACES)
@pytest.mark.parametrize("vote", ["soft_vote", "hard_vote", "geometric_vote"])
def test_one_source_for_every_namespace(name, vote):
    xp, make = NAMESPACES[name]
    p = probabilities()
    vote = getattr(voting, vote)
    for kind in voting.CONFIDENCES:
        wanted = vote(np, p, voting.confidence(np, p, kind))
        found = vote(xp, make(p), voting.confidence(xp, make(p), kind))
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(np.asarray(a), b, rtol=2e-5, atol=1e-6)


def test_nan_of_a_member_is_not_voted_away():
    p = probabilities()
    p[1, 3] = np.nan
    for vote in (voting.soft_vote, voting.hard_vote):
        found = vote(np, p).probabilities
        assert np.isnan(found[3]).all()
        assert np.isfinite(np.delete(found, 3, 0)).all()


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="`confidence` must be one of probability, entropy; got"):
        voting.confidence(np, probabilities(), "loudness")
    with pytest.raises(ValueError, match="`ties` must be one of probability, lowest; got 'coin'"):
        voting.hard_vote(np, probabilities(), None, "coin")
