"""What a prediction says of itself."""

import numpy as np
import pytest
import scipy.stats as st

from shoal.equations.conformal import fit_calibration
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.prediction import Prediction

RNG = np.random.default_rng(0)
W = np.full(3, 1 / 3)
MEANS, STDS = RNG.normal(size=(3, 8, 2)), RNG.uniform(0.5, 1, (3, 8, 2))


def test_points_have_no_aleatoric_part_and_a_gaussian_interval():
    p = Prediction(MEANS, W)
    np.testing.assert_allclose(p.mean, MEANS.mean(0))
    np.testing.assert_allclose(p.std, MEANS.std(0))
    assert (p.aleatoric == 0).all()
    low, high = p.interval(0.9)
    np.testing.assert_allclose(low, st.norm.ppf(0.05, p.mean, p.std))
    np.testing.assert_allclose(high, st.norm.ppf(0.95, p.mean, p.std))
    assert not p.calibrated
    assert len(p) == 8


def test_normals_add_up_and_use_the_mixture():
    p = Prediction(Normal(MEANS, STDS), W)
    np.testing.assert_allclose(p.std**2, p.aleatoric + p.epistemic)
    assert p.members.shape == (3, 8, 2)
    low, high = p.interval(0.8)
    inside = (st.norm.cdf(high, MEANS, STDS) - st.norm.cdf(low, MEANS, STDS)).mean(0)
    np.testing.assert_allclose(inside, 0.8, atol=1e-9)


def test_classes_average_probabilities_not_logits():
    logits = np.array([[[0.0, 8.0]], [[4.0, 0.0]], [[0.0, 0.0]]])
    p = Prediction(Categorical(logits), W)
    softmax = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(p.probabilities, softmax.mean(0))
    assert p.std.shape == (1, 2)
    assert p.epistemic.shape == (1,)
    with pytest.raises(ValueError, match="no interval"):
        p.interval(0.9)


def test_regression_has_no_probabilities():
    assert not hasattr(Prediction(MEANS, W), "probabilities")


def test_calibration_takes_over_the_interval():
    y = RNG.normal(size=(8, 2))
    raw = Prediction(Normal(MEANS, STDS), W)
    p = Prediction(raw.outputs, W, fit_calibration(raw.mean, raw.std, y))
    assert p.calibrated
    low, high = p.interval(8 / 9)  # the largest of 8 scores: all calibration rows lie inside
    assert ((low <= y + 1e-12) & (y <= high + 1e-12)).all()
    assert not np.allclose(low, raw.interval(8 / 9)[0])
