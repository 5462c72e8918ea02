"""Adaptive conformal: the long-run promise holds where split conformal's breaks."""

import numpy as np
import pytest

from shoal.score import AdaptiveConformal, fit_calibration


def run(aci, errors):
    state, misses = aci.init(), []
    for e in errors:
        state, info = aci.step(state, np.zeros(1), np.ones(1), np.array([e]))
        misses.append(info["miss"][0])
    return state, np.array(misses)


def test_long_run_coverage_under_drift():
    rng = np.random.default_rng(0)
    calibration = fit_calibration(np.zeros((200, 1)), np.ones((200, 1)), rng.normal(size=(200, 1)))
    errors = rng.normal(size=3000) * np.linspace(1, 4, 3000)
    aci = AdaptiveConformal(calibration, level=0.9, gamma=0.01)
    _, misses = run(aci, errors)
    assert abs(misses.mean() - 0.1) <= (0.9 + 0.01) / (0.01 * 3000)  # the theorem's bound
    low, high = calibration.interval(0.9, np.zeros(1), np.ones(1))
    assert ((errors < low) | (errors > high)).mean() > 0.3  # the fixed interval is lost


def test_missing_truth_moves_nothing():
    calibration = fit_calibration(np.zeros((20, 1)), np.ones((20, 1)), np.ones((20, 1)))
    aci = AdaptiveConformal(calibration)
    state, info = aci.step(aci.init(), np.zeros(1), np.ones(1), np.array([np.nan]))
    np.testing.assert_array_equal(state, aci.init())
    assert not info["miss"].any()


def test_interval_is_everything_or_a_point_at_the_ends():
    aci = AdaptiveConformal(fit_calibration(np.zeros((20, 1)), np.zeros((20, 1)), np.ones((20, 1))))
    assert np.isinf(aci.interval(np.array([-0.1]), np.zeros(1), np.ones(1))[1]).all()
    assert aci.interval(np.array([1.2]), np.zeros(1), np.ones(1))[1] == 0.0


def test_gamma_must_be_positive():
    with pytest.raises(ValueError, match="gamma"):
        AdaptiveConformal(None, gamma=0.0)
