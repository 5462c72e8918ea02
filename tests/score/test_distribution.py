"""Densities, CRPS and PIT against scoringrules and SciPy."""

import numpy as np
import pytest
import scipy.stats as st
import scoringrules as sr

from shoal.score import (
    crps_ensemble,
    crps_mixture,
    crps_normal,
    nll_mixture,
    nll_normal,
    pit,
    quantile_loss,
)

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


@pytest.mark.parametrize("members", [2, 3, 20])
def test_ensembles_against_scoringrules(members):
    x = RNG.normal(size=(members, 9))
    w = RNG.dirichlet(np.ones(members))
    for fair, estimator in ((False, "nrg"), (True, "fair")):
        want = sr.crps_ensemble(Y, x, m_axis=0, estimator=estimator)
        np.testing.assert_allclose(crps_ensemble(x, Y, fair=fair), want, atol=1e-14)
    wide = np.broadcast_to(w[:, None], x.shape)
    want = sr.crps_ensemble(Y, x, m_axis=0, ens_w=wide, estimator="nrg")
    np.testing.assert_allclose(crps_ensemble(x, Y, w), want, atol=1e-14)
    pairs = np.einsum("i,j,ijr->r", w, w, np.abs(x[:, None] - x))
    np.testing.assert_allclose(crps_ensemble(x, Y, w), w @ np.abs(x - Y) - pairs / 2, atol=1e-14)


def test_the_fair_form_does_not_depend_on_how_many_were_drawn():
    rng = np.random.default_rng(0)
    y = rng.normal(size=40000)
    plain, fair = (
        [crps_ensemble(rng.normal(size=(m, 40000)), y, fair=f).mean() for m in (2, 10)]
        for f in (False, True)
    )
    exact = crps_normal(0.0, 1.0, y).mean()
    np.testing.assert_allclose(fair, exact, atol=0.01)
    assert plain[0] > exact + 0.2  # (1 + 1/M) times it
    with pytest.raises(ValueError, match="at least 2"):
        crps_ensemble(Y[None], Y, fair=True)


def test_the_crps_is_the_integral_over_quantile_losses_and_over_thresholds():
    """2 ∫ pinball dp and ∫ (F − [y ≤ t])² dt, by quadrature."""
    t = np.linspace(-12, 12, 20001)
    cdf = W @ st.norm.cdf(t, MEANS[:, :1], STDS[:, :1])
    want = np.trapezoid((cdf - (Y[0] <= t)) ** 2, t)
    found = crps_mixture(W, MEANS[:, :1], STDS[:, :1], Y[:1])
    np.testing.assert_allclose(found, want, atol=2e-3)
    p = (np.arange(20000) + 0.5) / 20000
    q = MEANS[0, 0] + STDS[0, 0] * st.norm.ppf(p)
    losses = [2 * quantile_loss(q[i : i + 1], p[i], Y[:1]) for i in range(0, 20000, 20)]
    np.testing.assert_allclose(
        crps_normal(MEANS[0, 0], STDS[0, 0], Y[:1]), np.mean(losses), atol=5e-3
    )


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
