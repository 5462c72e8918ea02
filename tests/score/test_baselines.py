"""Seasonal naive: exact on series it describes, blind to what comes after the origin."""

import numpy as np
import pytest

from shoal.score import persistence, seasonal_naive

T = np.arange(60.0)
Y = np.sin(2 * np.pi * T / 12) + 0.1 * T


def test_exact_on_a_season_with_linear_trend():
    origins, targets = np.array([30.0, 40.0]), np.array([[31.0, 36.0, 43.0], [41.0, 52.0, 59.0]])
    want = np.sin(2 * np.pi * targets / 12) + 0.1 * targets
    np.testing.assert_allclose(seasonal_naive(T, Y, origins, targets, 12.0), want, atol=1e-12)
    flat = seasonal_naive(T, Y, origins, targets, 12.0, drift=False)
    np.testing.assert_allclose(want - flat, [[1.2, 1.2, 2.4], [1.2, 1.2, 2.4]], atol=1e-12)


@pytest.mark.parametrize("forecast", [persistence, lambda *a: seasonal_naive(*a, 12.0)])
def test_the_future_is_never_seen(forecast):
    origins, targets = np.array([30.5]), np.array([[31.0, 50.0]])
    changed = np.where(T > 30.5, 1e9, Y)
    np.testing.assert_array_equal(
        forecast(T, Y, origins, targets), forecast(T, changed, origins, targets)
    )


def test_gaps_are_bridged_and_short_series_say_nan():
    holes = Y.copy()
    holes[[18, 19]] = np.nan
    assert np.isfinite(seasonal_naive(T, holes, np.array([30.0]), np.array([[31.0]]), 12.0)).all()
    assert np.isnan(seasonal_naive(T, Y, np.array([5.0]), np.array([[6.0]]), 12.0)).all()
    assert np.isnan(persistence(T, Y, np.array([-1.0]), np.array([[6.0]]))).all()


def test_unsorted_series_are_refused():
    with pytest.raises(ValueError, match="ascend"):
        persistence(T[::-1], Y, np.array([5.0]), np.array([[6.0]]))
