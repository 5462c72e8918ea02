"""Split conformal: the rank, the mask, and the promise itself over many repetitions."""

import numpy as np
import pytest
from scipy.stats import binom

from shoal.equations.conformal import Calibration, fit_calibration, rows_needed


def test_rank_is_the_ceiling_of_n_plus_one_times_level():
    errors = np.arange(1.0, 20.0)[:, None]  # 19 scores
    found = fit_calibration(np.zeros((19, 1)), np.zeros((19, 1)), errors)
    assert found.quantile(0.95) == [19.0]  # 20 · 0.95 = 19
    assert found.quantile(0.9) == [18.0]
    assert found.quantile(0.91) == [19.0]  # 18.2 rounded up
    assert np.isinf(found.quantile(0.96)).all()


def test_every_output_has_its_own_quantile_and_mask():
    y = np.stack([np.arange(1.0, 10.0), 10 * np.arange(1.0, 10.0)], axis=1)
    mask = np.ones_like(y, bool)
    mask[:5, 1] = False
    found = fit_calibration(np.zeros_like(y), np.zeros_like(y), y, mask)
    np.testing.assert_array_equal(found.counts, [9, 4])
    np.testing.assert_array_equal(found.quantile(0.5), [5.0, 80.0])  # 3rd of 60, 70, 80, 90
    assert np.isinf(found.quantile(0.9)).tolist() == [False, True]


def test_missing_truth_does_not_count():
    y = np.array([[1.0], [np.nan], [3.0]])
    assert fit_calibration(np.zeros((3, 1)), np.zeros((3, 1)), y).counts == [2]


@pytest.mark.parametrize("score", ["absolute", "scaled"])
def test_coverage_over_repeated_splits_is_within_binomial_error(score):
    rng = np.random.default_rng(3)
    n, repeats, level = 40, 3000, 0.8
    x = rng.uniform(0.5, 3, (repeats, n + 1))
    y = x * rng.standard_t(3, (repeats, n + 1))  # neither homoscedastic nor normal
    hits = 0
    for xs, ys in zip(x, y, strict=True):
        fitted = fit_calibration(np.zeros(n), xs[:n], ys[:n], score=score)
        low, high = fitted.interval(level, np.zeros(1), xs[n:])
        hits += int(low[0] <= ys[n] <= high[0])
    promised = np.ceil((n + 1) * level) / (n + 1)  # exact for continuous scores
    low, high = binom.interval(0.9999, repeats, promised)
    assert low <= hits <= high


def test_infinite_where_rows_are_too_few_even_with_zero_std():
    fitted = fit_calibration(np.zeros((3, 1)), np.ones((3, 1)), np.ones((3, 1)))
    assert fitted.score == "scaled"
    low, high = fitted.interval(0.9, np.zeros((2, 1)), np.zeros((2, 1)))
    assert np.isneginf(low).all()
    assert np.isposinf(high).all()


def test_rows_needed_is_the_smallest_finite():
    for level in (0.5, 0.8, 0.9, 0.95, 0.99):
        n = rows_needed(level)
        for rows, finite in ((n, True), (n - 1, False)):
            fitted = Calibration(np.sort(np.random.default_rng(0).random(rows)), np.array(rows))
            assert np.isfinite(fitted.quantile(level)) == finite


def test_a_single_point_member_has_nothing_to_scale_by():
    found = fit_calibration(np.zeros(9), np.zeros(9), np.arange(1.0, 10.0), score="scaled")
    assert found.score == "absolute"
    assert found.quantile(0.9) == 9.0


def test_scaled_needs_a_spread():
    with pytest.raises(ValueError, match="positive std"):
        fit_calibration(np.zeros(3), np.arange(3.0), np.ones(3), score="scaled")
    with pytest.raises(ValueError, match="shape"):
        fit_calibration(np.zeros((3, 1)), np.zeros((3, 1)), np.ones(3))
