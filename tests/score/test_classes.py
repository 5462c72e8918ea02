"""Classes against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn import metrics

from shoal.score import accuracy, brier, ece, log_loss, reliability_table

RNG = np.random.default_rng(0)
P, Y = RNG.dirichlet(np.ones(4), 200), RNG.integers(0, 4, 200)


def test_against_scikit_learn():
    assert log_loss(P, Y) == pytest.approx(metrics.log_loss(Y, P, labels=range(4)))
    assert accuracy(P, Y) == pytest.approx(metrics.accuracy_score(Y, P.argmax(1)))
    two = np.stack([1 - P[:, 0], P[:, 0]], 1)
    labels = (Y == 0).astype(int)
    assert brier(two, labels) == pytest.approx(2 * metrics.brier_score_loss(labels, two[:, 1]))


def test_ece_is_the_gap_of_a_constant_forecast():
    p = np.tile([0.7, 0.3], (100, 1))
    y = np.r_[np.zeros(60, int), np.ones(40, int)]
    assert ece(p, y) == pytest.approx(0.1)


def test_table_counts_every_row_once_even_at_the_edges():
    p = np.array([[1.0, 0.0], [0.5, 0.5], [0.6, 0.4]])
    table = reliability_table(p, [0, 1, 0], bins=10)
    assert sum(table["count"]) == 3
    assert table["count"][9] == 1  # (0.9, 1.0]
    assert table["count"][4] == 1  # (0.4, 0.5]
    assert table["accuracy"][4] == 0.0
    assert table["accuracy"][0] is None


def test_impossible_truth_costs_everything():
    assert log_loss([[1.0, 0.0]], [1]) == np.inf


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="rows, classes"):
        accuracy([0.1, 0.9], [1])
    with pytest.raises(ValueError, match=r"0\.\.3"):
        accuracy(P, Y + 1)
