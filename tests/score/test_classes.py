"""Classes against scikit-learn and by hand."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from shoal.score import (
    accuracy,
    brier,
    brier_parts,
    classwise_ece,
    ece,
    log_loss,
    reliability_table,
)

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


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_tables_of_a_class_are_scikit_learns(strategy):
    table = reliability_table(P, Y, 8, of=2, strategy=strategy)
    found, said = calibration_curve(Y == 2, P[:, 2], n_bins=8, strategy=strategy)
    if strategy == "uniform":
        np.testing.assert_allclose([a for a in table["accuracy"] if a is not None], found)
        np.testing.assert_allclose([c for c in table["confidence"] if c is not None], said)
    else:  # its edges lie between observations, ours on them: a row may change its bin
        assert table["count"] == [25] * 8
        np.testing.assert_allclose(table["confidence"], said, atol=0.02)


def _counted(said, found, bins):
    edges = np.arange(bins + 1) / bins
    gap = 0.0
    for low, high in pairwise(edges):
        rows = (said > low) & (said <= high)
        if rows.any():
            gap += rows.mean() * abs(said[rows].mean() - found[rows].mean())
    return gap


def test_calibration_errors_bin_by_bin():
    assert ece(P, Y, 7) == pytest.approx(_counted(P.max(1), P.argmax(1) == Y, 7))
    want = np.mean([_counted(P[:, c], c == Y, 7) for c in range(4)])
    assert classwise_ece(P, Y, 7) == pytest.approx(want)


def test_honest_forecasts_have_little_of_it_and_sharpened_ones_much():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 40000)
    y = (p.cumsum(1) < rng.random((40000, 1))).sum(1)
    assert ece(p, y) < 0.01
    assert classwise_ece(p, y, strategy="quantile") < 0.01
    sharp = p**3 / (p**3).sum(1, keepdims=True)
    assert ece(sharp, y) > 0.1
    assert classwise_ece(sharp, y) > 0.07
    assert brier_parts(p, y).reliability < 1e-3 < brier_parts(sharp, y).reliability


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("bins", [1, 3, 10])
def test_brier_parts_add_up(bins, strategy):
    parts = brier_parts(P, Y, bins, strategy)
    found = parts.reliability - parts.resolution + parts.uncertainty
    assert found == pytest.approx(brier(P, Y), rel=1e-13)
    frequency = np.bincount(Y, minlength=4) / len(Y)
    assert parts.uncertainty == pytest.approx(1 - (frequency**2).sum())


def test_brier_parts_are_murphys_where_forecasts_are_few():
    rng = np.random.default_rng(0)
    said = rng.choice([0.15, 0.45, 0.85], 500)
    y = (rng.random(500) < said**2).astype(int)
    reliability = resolution = 0.0
    for value in np.unique(said):
        rows = said == value
        reliability += 2 * rows.mean() * (value - y[rows].mean()) ** 2
        resolution += 2 * rows.mean() * (y[rows].mean() - y.mean()) ** 2
    parts = brier_parts(np.stack([1 - said, said], axis=1), y)
    assert parts.reliability == pytest.approx(reliability)
    assert parts.resolution == pytest.approx(resolution)
    assert parts.uncertainty == pytest.approx(2 * y.mean() * (1 - y.mean()))


def test_quantile_bins_hold_alike_many_and_keep_equal_confidences_together():
    counts = reliability_table(P, Y, 10, strategy="quantile")["count"]
    assert counts == [20] * 10
    p = np.tile([0.7, 0.3], (9, 1))
    table = reliability_table(p, np.zeros(9, int), 3, strategy="quantile")
    assert sorted(table["count"]) == [0, 0, 9]
    assert max(low for low in table["low"] if low is not None) == 0.7


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
    with pytest.raises(ValueError, match="NaN, found it in row 1"):
        brier([[0.5, 0.5], [np.nan, 0.5]], [0, 0])
    with pytest.raises(ValueError, match="strategy"):
        ece(P, Y, strategy="equal")
    with pytest.raises(ValueError, match=r"`of` must be a class in 0\.\.3"):
        reliability_table(P, Y, of=4)
