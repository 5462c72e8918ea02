"""The decompositions add up, each part being computed on its own, and agree with brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import mean_squared_error

from shoal.score import brier, brier_ambiguity, cross_entropy_ambiguity, mae, squared_ambiguity

RNG = np.random.default_rng(0)
W = np.array([0.5, 0.3, 0.2])
MEMBERS, Y = RNG.normal(size=(3, 40, 4, 2)), RNG.normal(size=(40, 4, 2))
P, LABELS = RNG.dirichlet(np.ones(5), (3, 60)), RNG.integers(0, 5, 60)


def close(parts):
    assert parts.crowd == pytest.approx(parts.members - parts.diversity, rel=1e-13, abs=1e-13)
    assert np.all(parts.diversity >= 0)


def test_squared_error():
    found = squared_ambiguity(W, MEMBERS, Y)
    close(found)
    mean = np.einsum("m,m...->...", W, MEMBERS)
    flat = [mean_squared_error(Y.ravel(), m.ravel()) for m in MEMBERS]
    assert found.crowd == pytest.approx(mean_squared_error(Y.ravel(), mean.ravel()))
    assert found.members == pytest.approx(np.average(flat, weights=W))
    apart = [mean_squared_error(mean.ravel(), m.ravel()) for m in MEMBERS]
    assert found.diversity == pytest.approx(np.average(apart, weights=W))


def test_squared_error_per_output_with_gaps_and_weights_per_row():
    weights = RNG.dirichlet(np.ones(3), 40).T
    mask = RNG.random(Y.shape) < 0.6
    gone = np.where(mask, Y, np.nan)
    found = squared_ambiguity(weights, MEMBERS, gone, axis=0)
    np.testing.assert_allclose(found.crowd, found.members - found.diversity, rtol=1e-12)
    assert found.crowd.shape == (4, 2)
    again = squared_ambiguity(weights, MEMBERS, np.where(mask, Y, 1e9), mask, axis=0)
    np.testing.assert_allclose(found, again)


@given(
    weights=st.lists(st.floats(0.01, 1), min_size=2, max_size=6),
    scale=st.floats(1e-3, 1e6),
    seed=st.integers(0, 1000),
)
def test_squared_error_adds_up_whatever(weights, scale, seed):
    rng = np.random.default_rng(seed)
    w = np.array(weights) / np.sum(weights)
    found = squared_ambiguity(w, scale * rng.normal(size=(len(w), 9)), rng.normal(size=9))
    assert found.crowd == pytest.approx(found.members - found.diversity, abs=1e-12 * found.members)


def test_brier():
    found = brier_ambiguity(W, P, LABELS)
    close(found)
    assert found.crowd == pytest.approx(brier(np.einsum("m,mrc->rc", W, P), LABELS))
    assert found.members == pytest.approx(np.average([brier(p, LABELS) for p in P], weights=W))


def test_cross_entropy_with_the_normalised_geometric_mean():
    found = cross_entropy_ambiguity(W, P, LABELS)
    close(found)
    pool = np.prod(P ** W[:, None, None], axis=0)
    pool /= pool.sum(axis=1, keepdims=True)
    assert found.crowd == pytest.approx(sklearn_log_loss(LABELS, pool, labels=range(5)))
    own = [sklearn_log_loss(LABELS, p, labels=range(5)) for p in P]
    assert found.members == pytest.approx(np.average(own, weights=W))
    divergence = [rel_entr(pool, p).sum(axis=1).mean() for p in P]
    assert found.diversity == pytest.approx(np.average(divergence, weights=W))


def test_cross_entropy_of_the_arithmetic_mean_does_not_add_up():
    """What the docs warn of: the collective's own mean is another crowd."""
    found = cross_entropy_ambiguity(W, P, LABELS)
    mean = np.einsum("m,mrc->rc", W, P)
    crowd = sklearn_log_loss(LABELS, mean, labels=range(5))
    assert abs(crowd - (found.members - found.diversity)) > 1e-3


def test_cross_entropy_with_weights_per_row_and_silent_members():
    weights = RNG.dirichlet(np.ones(3), 60).T
    close(cross_entropy_ambiguity(weights, P, LABELS))
    impossible = P.copy()
    impossible[2] = np.eye(5)[(LABELS + 1) % 5]  # a member without weight rules the truth out
    silent = cross_entropy_ambiguity(np.array([0.5, 0.5, 0.0]), impossible, LABELS)
    want = cross_entropy_ambiguity(np.array([0.5, 0.5]), P[:2], LABELS)
    np.testing.assert_allclose(silent, want)


def test_impossible_classes():
    p = np.array([[[0.5, 0.5, 0.0]], [[0.25, 0.25, 0.5]]])
    found = cross_entropy_ambiguity(np.full(2, 0.5), p, [0])
    close(found)
    assert found.crowd == pytest.approx(np.log(2))  # the pool is ½, ½, 0
    assert cross_entropy_ambiguity(np.full(2, 0.5), p, [2]).crowd == np.inf
    apart = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    with pytest.raises(ValueError, match="rule out every class of row 0"):
        cross_entropy_ambiguity(np.full(2, 0.5), apart, [0])


def test_members_alike_have_no_diversity():
    alike = np.repeat(MEMBERS[:1], 3, axis=0)
    found = squared_ambiguity(W, alike, Y)
    assert found.diversity == pytest.approx(0, abs=1e-30)
    assert found.crowd == pytest.approx(found.members)


def test_bad_input_is_refused():
    broken = MEMBERS.copy()
    broken[2, 5, 0, 0] = np.nan
    with pytest.raises(ValueError, match="member 2 of 3 has no finite answer to row 5"):
        squared_ambiguity(W, broken, Y)
    with pytest.raises(ValueError, match=r"members, 40, 4, 2"):
        squared_ambiguity(W, MEMBERS[..., 0], Y)
    with pytest.raises(ValueError, match="members, rows, classes"):
        brier_ambiguity(W, P[0], LABELS)
    with pytest.raises(ValueError, match=r"0\.\.4"):
        cross_entropy_ambiguity(W, P, LABELS + 1)


def test_a_crowd_is_as_good_as_its_members_on_average_for_absolute_error_too():
    mean = np.einsum("m,m...->...", W, MEMBERS)
    own = [mae(m, Y, axis=None) for m in MEMBERS]
    assert mae(mean, Y, axis=None) <= np.average(own, weights=W)
