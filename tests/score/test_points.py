"""Errors of points and intervals, with and without a mask."""

import numpy as np
import pytest
import scoringrules as sr
from sklearn.metrics import mean_pinball_loss

from shoal.score import (
    bias,
    coverage,
    interval_score,
    mae,
    quantile_loss,
    rmse,
    sharpness,
    skill,
    spread_skill,
    width,
)

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


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
def test_quantile_loss_is_scikit_learns_and_scoringrules(p):
    want = mean_pinball_loss(Y.ravel(), P.ravel(), alpha=p)
    assert quantile_loss(P, p, Y, axis=None) == pytest.approx(want)
    np.testing.assert_allclose(quantile_loss(P, p, Y), sr.quantile_score(Y, P, p).mean(0))


def test_quantile_loss_is_lowest_at_the_quantile_and_makes_the_interval_score():
    y = RNG.exponential(size=4001)
    best = np.quantile(y, 0.9)
    losses = [quantile_loss(np.full(4001, q), 0.9, y) for q in (best, best - 0.2, best + 0.2)]
    assert np.argmin(losses) == 0
    low, high = P - 1, P + 0.5
    both = quantile_loss(low, 0.1, Y) + quantile_loss(high, 0.9, Y)
    np.testing.assert_allclose(both, 0.5 * (1 - 0.8) * interval_score(low, high, 0.8, Y))


def test_spread_skill_of_an_honest_spread_is_one():
    rng = np.random.default_rng(0)
    std = rng.uniform(0.5, 2, (20000, 2))
    y = std * rng.normal(size=std.shape)
    np.testing.assert_allclose(spread_skill(0 * y, std, y), 1.0, atol=0.02)
    np.testing.assert_allclose(spread_skill(0 * y, 0.5 * std, y), 0.5, atol=0.02)
    np.testing.assert_allclose(sharpness(std), np.sqrt((std**2).mean(0)))
    gone = np.where(std > 1, y, np.nan)
    np.testing.assert_allclose(sharpness(std, gone, axis=None), np.sqrt((std[std > 1] ** 2).mean()))


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        rmse(np.ones((4, 1)), np.ones(4))
    with pytest.raises(ValueError, match="one shape"):
        quantile_loss(np.ones((4, 1)), 0.5, np.ones(4))
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile_loss(np.ones(4), 50, np.ones(4))
