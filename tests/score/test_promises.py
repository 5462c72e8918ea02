"""Promises and identities of whole predictions, on real rows where that is possible."""

import numpy as np
import pytest
from scipy.special import rel_entr
from scipy.stats import binom
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

from shoal.equations.outputs import Categorical, Normal
from shoal.equations.prediction import Prediction
from shoal.score import fit_calibration, fit_quantile_calibration

RNG = np.random.default_rng(0)
W = np.array([0.4, 0.3, 0.2, 0.1])


@pytest.fixture(scope="module")
def diabetes():
    """Bagged ridge members, and the rows that none of them has seen."""
    x, y = load_diabetes(return_X_y=True)
    y = y + 1e-6 * np.random.default_rng(0).random(len(y))  # no two rows alike
    order = np.random.default_rng(1).permutation(len(y))
    train, rest = order[:242], order[242:]
    means = []
    for seed in range(4):
        drawn = np.random.default_rng(seed).choice(train, len(train))
        means.append(Ridge(1e-2).fit(x[drawn], y[drawn]).predict(x[rest]))
    stds = np.full((4, len(rest)), 25.0) * np.linspace(0.5, 1.5, 4)[:, None]  # far too small
    return Normal(np.array(means), stds), y[rest]


@pytest.mark.parametrize("score", ["absolute", "scaled", "quantile"])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_coverage_over_repeated_splits_of_real_rows(diabetes, score, level):
    """Rows in random order are exchangeable, whatever the model: hits are binomial."""
    members, y = diabetes
    whole = Prediction(members, W)
    bounds = whole.interval(level)
    rng, n, repeats, hits, plain = np.random.default_rng(2), 59, 3000, 0, 0
    for _ in range(repeats):
        order = rng.permutation(len(y))[: n + 1]
        cal, new = order[:n], order[n:]
        if score == "quantile":
            fitted = fit_quantile_calibration(bounds[0][cal], bounds[1][cal], y[cal], level)
            low, high = fitted.interval(bounds[0][new], bounds[1][new])
        else:
            fitted = fit_calibration(whole.mean[cal], whole.std[cal], y[cal], score=score)
            low, high = fitted.interval(level, whole.mean[new], whole.std[new])
        hits += int(low[0] <= y[new][0] <= high[0])
        plain += int(bounds[0][new][0] <= y[new][0] <= bounds[1][new][0])
    promised = np.ceil(np.round((n + 1) * level, 9)) / (n + 1)
    least, most = binom.interval(0.9999, repeats, promised)
    assert least <= hits <= most
    assert plain < least  # without calibration these members are far too sure


def test_mutual_information_is_the_mean_divergence_from_the_pool():
    p = Prediction(Categorical(RNG.normal(size=(4, 50, 6))), W)
    divergence = rel_entr(p.members, p.probabilities).sum(-1)
    np.testing.assert_allclose(p.epistemic, np.einsum("m,mr->r", W, divergence), rtol=1e-12)
    np.testing.assert_allclose(p.total, p.aleatoric + p.epistemic, rtol=1e-14)


def test_total_variance_is_that_of_draws_from_the_mixture():
    means, stds = RNG.normal(size=(4, 3)), RNG.uniform(0.5, 1.5, (4, 3))
    p = Prediction(Normal(means, stds), W)
    which = RNG.choice(4, (400_000, 3), p=W)
    column = np.arange(3)
    draws = means[which, column] + stds[which, column] * RNG.normal(size=which.shape)
    np.testing.assert_allclose(p.mean, draws.mean(0), atol=0.01)
    np.testing.assert_allclose(p.total, draws.var(0), rtol=0.01)
    np.testing.assert_array_equal(p.total, p.aleatoric + p.epistemic)
