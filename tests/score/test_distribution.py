"""Densities, CRPS and PIT against scoringrules and SciPy."""

import numpy as np
import pytest
import scipy.stats as st
import scoringrules as sr

from shoal.score import crps_mixture, crps_normal, nll_mixture, nll_normal, pit

RNG = np.random.default_rng(0)
W = np.array([0.1, 0.6, 0.3])
MEANS, STDS, Y = RNG.normal(0, 2, (3, 9)), RNG.uniform(0.1, 2, (3, 9)), RNG.normal(0, 2, 9)


def test_normal():
    np.testing.assert_allclose(
        crps_normal(MEANS[0], STDS[0], Y), sr.crps_normal(Y, MEANS[0], STDS[0])
    )
    np.testing.assert_allclose(
        nll_normal(MEANS[0], STDS[0], Y), -st.norm.logpdf(Y, MEANS[0], STDS[0])
    )


def test_mixture_with_weights():
    want = sr.crps_mixnorm(Y, MEANS, STDS, np.broadcast_to(W[:, None], MEANS.shape), m_axis=0)
    np.testing.assert_allclose(crps_mixture(W, MEANS, STDS, Y), want, rtol=1e-9)
    np.testing.assert_allclose(
        nll_mixture(W, MEANS, STDS, Y), -np.log(W @ st.norm.pdf(Y, MEANS, STDS))
    )
    np.testing.assert_allclose(pit(W, MEANS, STDS, Y), W @ st.norm.cdf(Y, MEANS, STDS))


def test_points_are_the_ensemble_form():
    want = sr.crps_ensemble(Y, MEANS, m_axis=0, estimator="nrg")
    np.testing.assert_allclose(crps_mixture(np.full(3, 1 / 3), MEANS, None, Y), want)


def test_weights_per_row():
    rows = RNG.dirichlet(np.ones(3), 9).T
    got = crps_mixture(rows, MEANS, STDS, Y)
    want = [crps_mixture(rows[:, i], MEANS[:, i], STDS[:, i], Y[i]) for i in range(9)]
    np.testing.assert_allclose(got, want)


def test_no_spread_leaves_the_absolute_error():
    np.testing.assert_allclose(crps_normal(MEANS[0], 0.0, Y), np.abs(Y - MEANS[0]))
    np.testing.assert_allclose(
        crps_mixture(np.ones(1), MEANS[:1], 0 * STDS[:1], Y), np.abs(Y - MEANS[0])
    )


def test_pit_of_honest_forecasts_is_uniform():
    means, which = RNG.normal(size=(3, 4000)), RNG.integers(0, 3, 4000)
    y = means[which, np.arange(4000)] + RNG.normal(size=4000)
    found = pit(np.full(3, 1 / 3), means, np.ones_like(means), y)
    assert st.kstest(found, "uniform").pvalue > 1e-3
    assert (
        st.kstest(pit(np.full(3, 1 / 3), means, 0.3 * np.ones_like(means), y), "uniform").pvalue
        < 1e-6
    )


@pytest.mark.parametrize("y", [1e3, -1e3])
def test_far_truths_stay_finite(y):
    assert np.isfinite(nll_mixture(W, MEANS, STDS, np.full(9, y))).all()
    assert np.isfinite(crps_mixture(W, MEANS, STDS, np.full(9, y))).all()
