"""Diversity against NumPy, SciPy, scikit-learn and pairs counted one by one."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats.contingency import odds_ratio
from sklearn.metrics import confusion_matrix, matthews_corrcoef, zero_one_loss

from shoal.score import (
    disagreement,
    double_fault,
    error_correlation,
    kohavi_wolpert,
    pair_mean,
    q_statistic,
    right,
    right_correlation,
    squared_ambiguity,
    variance,
)

RNG = np.random.default_rng(0)
W = np.array([0.5, 0.3, 0.2])
MEMBERS, Y = RNG.normal(size=(3, 50, 2)), RNG.normal(size=(50, 2))
CORRECT = RNG.random((4, 60)) < np.array([[0.8], [0.7], [0.6], [0.5]])
PAIRS = list(combinations(range(4), 2))


def test_variance_is_numpys_and_the_ambiguity():
    np.testing.assert_allclose(
        variance(np.full(3, 1 / 3), MEMBERS, axis=0), MEMBERS.var(axis=0).mean(axis=0)
    )
    mask = RNG.random(Y.shape) < 0.5
    want = squared_ambiguity(W, MEMBERS, Y, mask).diversity
    assert variance(W, MEMBERS, Y, mask) == pytest.approx(want)


def test_error_correlation_is_numpys():
    mask = RNG.random(Y.shape) < 0.7
    want = np.corrcoef((MEMBERS - Y)[:, mask])
    np.testing.assert_allclose(error_correlation(MEMBERS, Y, mask), want)
    np.testing.assert_allclose(error_correlation(MEMBERS, np.where(mask, Y, np.nan)), want)


def test_errors_that_do_not_vary_have_no_correlation():
    members = np.stack([Y[:, 0] + 0.1, Y[:, 0] + RNG.normal(size=50)])
    found = error_correlation(members, Y[:, 0])
    assert np.isnan(found[0]).all()
    assert found[1, 1] == pytest.approx(1)
    assert np.isnan(error_correlation(MEMBERS, np.full(Y.shape, np.nan))).all()


@pytest.mark.parametrize(("i", "j"), PAIRS)
def test_pairs_against_scikit_learn_and_scipy(i, j):
    a, b = CORRECT[i], CORRECT[j]
    assert disagreement(CORRECT)[i, j] == pytest.approx(zero_one_loss(a, b))
    assert right_correlation(CORRECT)[i, j] == pytest.approx(matthews_corrcoef(a, b))
    table = confusion_matrix(a, b)
    assert double_fault(CORRECT)[i, j] == pytest.approx(table[0, 0] / 60)
    ratio = odds_ratio(table, kind="sample").statistic
    assert q_statistic(CORRECT)[i, j] == pytest.approx((ratio - 1) / (ratio + 1))  # Yule's Q


def test_the_diagonals_are_what_they_mean():
    np.testing.assert_allclose(np.diag(disagreement(CORRECT)), 0)
    np.testing.assert_allclose(np.diag(double_fault(CORRECT)), 1 - CORRECT.mean(axis=1))
    np.testing.assert_allclose(np.diag(q_statistic(CORRECT)), 1)
    np.testing.assert_allclose(np.diag(right_correlation(CORRECT)), 1)


@given(members=st.integers(1, 9), rows=st.integers(1, 40), seed=st.integers(0, 10**6))
def test_kohavi_wolpert_is_the_mean_disagreement(members, rows, seed):
    correct = np.random.default_rng(seed).random((members, rows)) < 0.6
    found = kohavi_wolpert(correct)
    share = correct.mean(axis=0)
    assert found == pytest.approx((share * (1 - share)).mean(), abs=1e-14)
    if members > 1:
        want = (members - 1) / (2 * members) * pair_mean(disagreement(correct))
        assert found == pytest.approx(want, abs=1e-14)


def test_independent_members_have_no_q():
    correct = np.random.default_rng(1).random((2, 200_000)) < 0.7
    assert abs(q_statistic(correct)[0, 1]) < 0.02
    assert abs(right_correlation(correct)[0, 1]) < 0.01


def test_a_member_that_never_errs_has_none_either():
    found = q_statistic([[1, 1, 1], [1, 0, 1]])
    assert np.isnan(found[0, 1])
    assert np.isnan(right_correlation([[1, 1, 1], [1, 0, 1]])[0, 1])
    assert np.isnan(pair_mean(found))


def test_right_takes_probabilities_or_choices():
    p, labels = RNG.dirichlet(np.ones(3), (4, 20)), RNG.integers(0, 3, 20)
    np.testing.assert_array_equal(right(p, labels), right(p.argmax(-1), labels))
    np.testing.assert_array_equal(right(p, labels)[2], p[2].argmax(-1) == labels)


def test_votes_disagree_without_a_truth():
    votes = RNG.integers(0, 3, (4, 30))
    want = [np.mean(votes[i] != votes[j]) for i, j in PAIRS]
    assert pair_mean(disagreement(votes)) == pytest.approx(np.mean(want))


def test_bad_input_is_refused():
    broken = MEMBERS.copy()
    broken[1, 4, 0] = np.nan
    for call in (lambda: variance(W, broken), lambda: error_correlation(broken, Y)):
        with pytest.raises(ValueError, match="member 1 of 3 has no finite answer to row 4"):
            call()
    with pytest.raises(ValueError, match="to fit `y`"):
        error_correlation(MEMBERS[0], Y)
    with pytest.raises(ValueError, match="make it with `right`"):
        kohavi_wolpert([[2, 1], [0, 1]])
    with pytest.raises(ValueError, match="members, rows"):
        disagreement([1, 0])
    with pytest.raises(ValueError, match="labels"):
        right(np.zeros((2, 3), int), np.zeros(4, int))
