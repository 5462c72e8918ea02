"""Normal and mixture distributions against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as st
import torch
from hypothesis import given
from hypothesis import strategies as hst

from shoal.equations import intervals

RNG = np.random.default_rng(1)
W = np.array([0.2, 0.5, 0.3])
MEANS, STDS = RNG.normal(0, 3, (3, 7)), RNG.uniform(0.2, 2, (3, 7))


def test_cdf_is_good_to_the_last_digits():
    z = np.linspace(-45, 45, 20001)
    np.testing.assert_allclose(intervals.normal_cdf(np, z), st.norm.cdf(z), atol=1e-15)
    z = z[z > -30]  # far tails too, relatively
    np.testing.assert_allclose(intervals.normal_cdf(np, z), st.norm.cdf(z), rtol=1e-7)


@pytest.mark.parametrize(("xp", "make"), [(jnp, jnp.asarray), (torch, torch.as_tensor)])
def test_one_source_for_every_namespace(xp, make):
    arrays = [a.astype(np.float32) for a in (W, MEANS, STDS)]
    want = intervals.mixture_interval(np, 0.8, *arrays)
    found = intervals.mixture_interval(xp, 0.8, *map(make, arrays))
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(np.asarray(a), b, atol=1e-4)
    y = make(np.zeros(7, np.float32))
    density = np.asarray(intervals.mixture_log_density(xp, y, *map(make, arrays)))
    np.testing.assert_allclose(density, np.log(W @ st.norm.pdf(0, MEANS, STDS)), rtol=1e-4)


def test_zero_is_finite_under_gradients():
    def density(w):
        return intervals.mixture_log_density(jnp, jnp.zeros(7), w, MEANS, STDS).sum()

    assert np.isfinite(jax.jit(jax.grad(density))(np.array([0.0, 0.5, 0.5]))).all()


@pytest.mark.parametrize("p", [1e-3, 0.05, 0.5, 0.9, 0.999])
def test_quantile_inverts_the_cdf(p):
    q = intervals.mixture_quantile(np, p, W, MEANS, STDS)
    want = W @ st.norm.cdf((q - MEANS) / STDS)
    np.testing.assert_allclose(want, p, atol=1e-9)


def test_one_member_is_gaussian():
    low, high = intervals.mixture_interval(np, 0.9, np.ones(1), MEANS[:1], STDS[:1])
    want_low, want_high = st.norm.interval(0.9, MEANS[0], STDS[0])
    np.testing.assert_allclose(low, want_low, atol=1e-8)
    np.testing.assert_allclose(high, want_high, atol=1e-8)
    np.testing.assert_allclose(intervals.normal_interval(0.9, MEANS[0], STDS[0])[1], want_high)


def test_density_of_a_member_without_weight_does_not_count():
    y, w = np.zeros(7), np.array([0.0, 1.0, 0.0])
    found = intervals.mixture_log_density(np, y, w, MEANS, STDS)
    np.testing.assert_allclose(found, st.norm.logpdf(0, MEANS[1], STDS[1]))


@pytest.mark.parametrize("level", [0, 1, 90, -0.1, float("nan")])
def test_impossible_levels_are_refused(level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        intervals.normal_interval(level, MEANS, STDS)


@given(
    st_means=hst.lists(hst.floats(-5, 5), min_size=4, max_size=4),
    logs=hst.lists(hst.floats(-3, 1), min_size=4, max_size=4),
    p=hst.sampled_from([0.01, 0.05, 0.5, 0.9, 0.975]),
)
def test_quantiles_of_ragged_mixtures(st_means, logs, p):
    """Sharp and far apart members: still the right mass, or within 2⁻¹⁸ of the bracket."""
    w, means, stds = np.full(4, 0.25), np.array(st_means)[:, None], 10.0 ** np.array(logs)[:, None]
    q = intervals.mixture_quantile(np, p, w, means, stds)
    near = 1e-4 * np.sqrt(intervals.moments(w, means, stds).total)
    below, above = (intervals.mixture_cdf(np, q + d, w, means, stds)[0] for d in (-near, near))
    assert below - 1e-9 <= p <= above + 1e-9
