"""Conformalised quantiles: by hand, and the promise over repeated splits of one set of rows."""

import numpy as np
import pytest
from scipy.stats import binom

from shoal.equations.conformal_quantile import fit_quantile_calibration
from shoal.equations.outputs import Normal
from shoal.equations.prediction import Prediction

RNG = np.random.default_rng(0)


def test_by_hand():
    lower, upper = np.zeros(9), np.full(9, 10.0)
    y = np.array([-3.0, -1, 0, 2, 5, 8, 10, 11, 14])  # 3, 1, 0, −2, −5, −2, 0, 1, 4 outside
    found = fit_quantile_calibration(lower, upper, y, 0.5)
    assert found.shift == 0.0  # the 5th of −5 −2 −2 0 0 1 1 3 4
    assert fit_quantile_calibration(lower, upper, y, 0.9).shift == 4.0
    assert fit_quantile_calibration(lower, upper, y, 0.95).shift == np.inf
    low, high = fit_quantile_calibration(lower, upper, y, 0.9).interval([1.0], [2.0])
    assert (low, high) == (-3.0, 6.0)


def test_intervals_that_were_too_wide_shrink_to_a_point_at_most():
    y = np.linspace(4.0, 6.0, 9)
    found = fit_quantile_calibration(np.zeros(9), np.full(9, 10.0), y, 0.9)
    assert found.shift == pytest.approx(-4.0)
    low, high = found.interval(np.array([0.0, 0.0]), np.array([10.0, 6.0]))
    np.testing.assert_allclose(low, [4.0, 3.0])
    np.testing.assert_allclose(high, [6.0, 3.0])  # the second had crossed: its middle


def test_what_was_not_observed_does_not_count_and_outputs_are_apart():
    lower, upper = -np.ones((30, 2)), np.ones((30, 2))
    y = RNG.normal(size=(30, 2)) * [1.0, 10.0]
    mask = RNG.random(y.shape) < 0.7
    found = fit_quantile_calibration(lower, upper, np.where(mask, y, np.nan), 0.8)
    again = fit_quantile_calibration(lower, upper, np.where(mask, y, 1e9), 0.8, mask)
    np.testing.assert_array_equal(found.shift, again.shift)
    alone = fit_quantile_calibration(
        lower[mask[:, 1], 1], upper[mask[:, 1], 1], y[mask[:, 1], 1], 0.8
    )
    assert found.shift[1] == alone.shift
    np.testing.assert_array_equal(found.counts, mask.sum(axis=0))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_the_promise_over_repeated_splits_of_one_set(level):
    """Rows of a finite set in random order are exchangeable: the count of hits is binomial."""
    rng = np.random.default_rng(1)
    n, repeats = 39, 4000
    means, stds = rng.normal(size=(3, n + 1)), rng.uniform(0.2, 2, (3, n + 1))
    crowd = Prediction(Normal(means, stds), np.array([0.5, 0.3, 0.2]))
    lower, upper = crowd.interval(level)  # of a lopsided mixture that knows nothing of the truth
    y = rng.standard_t(2, n + 1) + 0.5
    hits = 0
    for _ in range(repeats):
        order = rng.permutation(n + 1)
        cal, new = order[:n], order[n:]
        fitted = fit_quantile_calibration(lower[cal], upper[cal], y[cal], level)
        low, high = fitted.interval(lower[new], upper[new])
        hits += int(low[0] <= y[new][0] <= high[0])
    promised = np.ceil(np.round((n + 1) * level, 9)) / (n + 1)
    least, most = binom.interval(0.9999, repeats, promised)
    assert least <= hits <= most


def test_bad_input_is_refused():
    ok = np.zeros(5), np.ones(5), np.zeros(5)
    with pytest.raises(ValueError, match="one shape"):
        fit_quantile_calibration(*ok[:2], np.zeros(4), 0.9)
    with pytest.raises(ValueError, match="at most `upper`"):
        fit_quantile_calibration(ok[1], ok[0], ok[2], 0.9)
    with pytest.raises(ValueError, match="neither of them NaN"):
        fit_quantile_calibration(np.full(5, np.nan), ok[1], ok[2], 0.9)
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit_quantile_calibration(*ok, 90)
