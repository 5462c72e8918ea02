"""The PIT's uniformity against SciPy, of forecasts that are honest and of some that are not."""

import numpy as np
import pytest
import scipy.stats as st

from shoal.score import pit, pit_histogram, pit_uniformity

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("n", "near"), [(5, 0.02), (20, 0.01), (100, 0.005), (3000, 0.002)])
@pytest.mark.parametrize("power", [1.0, 1.1, 1.5])
def test_as_scipys_test(n, near, power):
    u = np.random.default_rng(n).random(n) ** power
    want, found = st.kstest(u, "uniform"), pit_uniformity(u)
    assert found.distance == pytest.approx(want.statistic)
    assert found.p_value == pytest.approx(want.pvalue, abs=near)
    assert found.count == n


@pytest.mark.parametrize(("distance", "near"), [(0.15, 0.02), (0.25, 0.006), (0.35, 0.001)])
def test_few_values_need_the_correction(distance, near):
    """Without it, with √n alone, these p-values are 0.048, 0.046 and 0.013 too great."""
    n = 15
    u = np.clip((np.arange(n) + 1) / n - distance, 0, 1)
    want, found = st.kstest(u, "uniform"), pit_uniformity(u)
    assert found.distance == pytest.approx(want.statistic)
    assert found.p_value == pytest.approx(want.pvalue, abs=near)


def test_honest_mixtures_pass_and_dishonest_ones_do_not():
    w, n = np.array([0.5, 0.3, 0.2]), 5000
    means, stds = RNG.normal(0, 2, (3, n)), RNG.uniform(0.5, 2, (3, n))
    which = RNG.choice(3, n, p=w)
    y = means[which, np.arange(n)] + stds[which, np.arange(n)] * RNG.normal(size=n)
    assert pit_uniformity(pit(w, means, stds, y)).p_value > 0.01
    for wrong in (pit(w, means, 0.7 * stds, y), pit(w, means + 0.3, stds, y)):
        assert pit_uniformity(wrong).p_value < 1e-4


def test_false_alarms_are_as_many_as_promised():
    alarms = [
        pit_uniformity(np.random.default_rng(i).random(50)).p_value < 0.1 for i in range(1000)
    ]
    low, high = st.binom.interval(0.9999, 1000, 0.1)
    assert low <= sum(alarms) <= high


def test_what_was_not_observed_does_not_count():
    u, y = RNG.random((30, 2)), RNG.normal(size=(30, 2))
    y[::3] = np.nan
    assert pit_uniformity(u, y) == pit_uniformity(u[np.isfinite(y)])
    assert sum(pit_histogram(u, 5, y)["count"]) == 40


def test_histogram_is_numpys():
    u = RNG.random(500)
    found = pit_histogram(u, 8)
    want, edges = np.histogram(u, 8, (0, 1), density=True)
    np.testing.assert_allclose(found["density"], want)
    np.testing.assert_allclose(found["low"] + found["high"][-1:], edges)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        pit_uniformity([0.5, 1.5])
    with pytest.raises(ValueError, match="between 0 and 1"):
        pit_uniformity([0.5, np.nan])
    with pytest.raises(ValueError, match="observed"):
        pit_uniformity([0.5], [np.nan])
    with pytest.raises(ValueError, match="shape"):
        pit_uniformity([0.5, 0.6], [1.0])
