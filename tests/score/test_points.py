"""Errors of points and intervals, with and without a mask."""

import numpy as np
import pytest
import scoringrules as sr

from shoal.score import bias, coverage, interval_score, mae, rmse, skill, width

RNG = np.random.default_rng(0)
P, Y = RNG.normal(size=(20, 3, 2)), RNG.normal(size=(20, 3, 2))


def test_plain_errors():
    np.testing.assert_allclose(rmse(P, Y), np.sqrt(((P - Y) ** 2).mean(0)))
    np.testing.assert_allclose(mae(P, Y, axis=None), np.abs(P - Y).mean())
    np.testing.assert_allclose(bias(P + 1, P), 1.0)
    np.testing.assert_allclose(skill(0.5, 1.0), 0.5)


@pytest.mark.parametrize("score", [rmse, mae, bias])
def test_what_was_not_observed_does_not_count(score):
    mask = RNG.random(Y.shape) < 0.6
    gone, wrong = Y.copy(), Y.copy()
    gone[~mask] = np.nan
    wrong[~mask] = 1e9
    np.testing.assert_allclose(score(P, gone), score(P, wrong, mask))
    np.testing.assert_allclose(
        score(P, wrong, mask)[1, 0], score(P[mask[:, 1, 0], 1, 0], Y[mask[:, 1, 0], 1, 0])
    )


def test_nothing_observed_is_nan_not_zero():
    assert np.isnan(rmse(np.ones((3, 2)), np.full((3, 2), np.nan))).all()


def test_coverage_counts_the_edges_in():
    low, high = np.zeros(3), np.ones(3)
    assert coverage(low, high, np.array([0.0, 1.0, 1.1])) == pytest.approx(2 / 3)
    assert width(low, high) == 1.0


def test_interval_score_matches_scoringrules():
    low, high = P - 1, P + 1
    want = sr.interval_score(Y, low, high, 0.1).mean(0)
    np.testing.assert_allclose(interval_score(low, high, 0.9, Y), want)


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        rmse(np.ones((4, 1)), np.ones(4))
