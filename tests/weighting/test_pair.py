"""The forecasting pair whose threshold is on the horizon: who says which step of a forecast."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from shoal.equations.outputs import Categorical, Normal
from shoal.equations.prediction import Prediction
from shoal.score import crps_mixture, nll_mixture, out_of_bag
from shoal.weighting import Pair, combined, describe, moments_of, resolve, suited

mx = pytest.importorskip("mlx.core")

NEAR, FAR = np.zeros((5, 4, 2)), np.ones((5, 4, 2))  # (rows, steps, targets)
SAID = np.stack([NEAR, FAR])
ASKED = SimpleNamespace(x=np.zeros((5, 3, 1)), timespans=None, mask=None)
LEADS = (1.0, 2.0, 13.0, 26.0)


def test_the_second_member_says_all_steps_from_the_threshold_on():
    p = combined(Pair(of="horizon", threshold=3), SAID, ASKED)
    np.testing.assert_array_equal(p.mean[:, :, 0], np.tile([0.0, 0.0, 1.0, 1.0], (5, 1)))
    assert p.weights.shape == (2, 5, 4)
    np.testing.assert_array_equal(p.epistemic, 0.0)  # one speaks alone


def test_a_smooth_switch_goes_by_the_lead_time():
    rule = Pair(of="horizon", threshold=13.0, width=4.0, leads=LEADS)
    found = combined(rule, SAID, ASKED).mean[0, :, 0]
    expected = 1.0 / (1.0 + np.exp(-(np.array(LEADS) - 13.0) / 4.0))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_lead_times_are_the_schema_s():
    schema = SimpleNamespace(horizons=(1, 2, 13, 26))
    rule = suited(resolve({"kind": "pair", "of": "horizon", "threshold": 13}), 2, schema)
    assert rule.leads == LEADS
    np.testing.assert_array_equal(combined(rule, SAID, ASKED).mean[0, :, 0], [0, 0, 1, 1])
    assert resolve(describe(rule)) == rule
    own = Pair(of="horizon", threshold=3.0, leads=[1, 2, 3, 4])
    assert suited(own, 2, schema) == own  # in a unit of its own
    assert suited(Pair(), 2, schema) == Pair()


@pytest.mark.parametrize("make", [jnp.asarray, torch.as_tensor, mx.array])
def test_every_framework_switches_alike(make):
    rule = Pair(of="horizon", threshold=3, width=0.7)
    said = Normal(make(SAID.astype(np.float32)), make(1.0 + SAID.astype(np.float32)))
    expected = moments_of(rule, Normal(SAID, 1.0 + SAID))
    found = moments_of(rule, said)
    assert isinstance(found.mean, type(said.mean))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(one), other, rtol=1e-5, atol=1e-6)


def test_traced_and_differentiated():
    rule = Pair(of="horizon", threshold=3)
    slope = jax.jit(jax.grad(lambda said: moments_of(rule, said).mean.sum()))(jnp.asarray(SAID))
    np.testing.assert_array_equal(slope[1, 0, :, 0], [0, 0, 1, 1])
    np.testing.assert_array_equal(slope[0], 1 - slope[1])


def test_scores_and_intervals_go_step_by_step():
    """What is asked of the pair is what is asked of its members, each of its own steps."""
    rng = np.random.default_rng(0)
    means, y = rng.normal(size=(2, 5, 4, 2)), rng.normal(size=(5, 4, 2))
    said = Normal(means, rng.uniform(0.5, 2.0, means.shape))
    p = combined(Pair(of="horizon", threshold=3), said, ASKED)
    parts = [(slice(0, 2), 0), (slice(2, 4), 1)]
    alone = [Prediction(Normal(*(a[i : i + 1] for a in said)), np.ones(1)) for _, i in parts]
    for (steps, _), one in zip(parts, alone, strict=True):
        for found, other in zip(p.interval(0.8), one.interval(0.8), strict=True):
            np.testing.assert_allclose(found[:, steps], other[:, steps], rtol=1e-5)
        for score in (crps_mixture, nll_mixture):
            whole = score(p.weights, *said, y)[:, steps]
            own = score(one.weights, *one.outputs, y)[:, steps]
            np.testing.assert_allclose(whole, own, rtol=1e-6)
    bags = np.array([[0, 1, 0, 1, 0], [1, 0, 0, 1, 1]])
    mean = out_of_bag(means, bags, p.weights)
    np.testing.assert_allclose(mean[0, :2], means[0, 0, :2])
    assert np.isnan(mean[0, 2:]).all()  # whoever says the far steps was trained on this row


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"of": "steps"}, "`of` must be one of last, sum, mean, horizon"),
        ({"leads": [1, 2]}, "for of='horizon', got of='last'"),
        ({"of": "horizon", "leads": [2, 1]}, "finite and ascending"),
        ({"of": "horizon", "leads": []}, "finite and ascending"),
    ],
)
def test_impossible_pairs_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        resolve({"kind": "pair", **given})


@pytest.mark.parametrize("said", [SAID[:, :, 0, 0], Categorical(SAID[:, :, 0]), None])
def test_answers_without_a_horizon_are_refused(said):
    with pytest.raises(ValueError, match="is for forecasts"):
        Pair(of="horizon").weights(2, outputs=said)


def test_lead_times_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="one lead time per step, 4, got 2"):
        combined(Pair(of="horizon", leads=(1.0, 2.0)), SAID, ASKED)
