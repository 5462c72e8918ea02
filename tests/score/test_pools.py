"""Scores and recalibration of crowds that pool otherwise than by the mixture."""

import json

import numpy as np
import pytest
import scipy.stats as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from shoal.equations.outputs import Categorical, Normal
from shoal.equations.pooling import Pool
from shoal.equations.prediction import Prediction
from shoal.equations.temperature import fit_temperature, fit_temperatures
from shoal.equations.variance import fit_variance
from shoal.score import (
    crps_normal,
    evaluate,
    fit_calibration,
    fit_novelty,
    log_loss,
    nll_normal,
    rmse,
)

RNG = np.random.default_rng(0)
COEFFICIENTS = np.array([0.9, -0.3, 0.5])
MEANS, STDS = RNG.normal(size=(3, 60, 2)), RNG.uniform(0.5, 1, (3, 60, 2))
Y = RNG.normal(size=(60, 2))
LOGITS, LABELS = RNG.normal(size=(3, 80, 4)), RNG.integers(0, 4, 80)
W = np.array([0.5, 0.3, 0.2])


@pytest.mark.parametrize("pool", [Pool("linear", 0.2), Pool("median")])
def test_numbers_are_scored_as_the_normal_that_their_intervals_are(pool):
    weights = COEFFICIENTS if pool.kind == "linear" else W
    p = Prediction(Normal(MEANS, STDS), weights, pool=pool)
    found = evaluate(p, Y, levels=[0.9])
    json.dumps(found, allow_nan=False)
    assert found["overall"]["rmse"] == pytest.approx(rmse(p.mean, Y, axis=None))
    assert found["overall"]["crps"] == pytest.approx(crps_normal(p.mean, p.std, Y).mean())
    assert found["overall"]["nll"] == pytest.approx(nll_normal(p.mean, p.std, Y).mean())
    assert found["calibration"]["pit"]["of"] == "normal"
    assert found["diversity"]["ambiguity"] is None  # that of a mean, which this crowd is not
    assert found["diversity"]["variance"] > 0


def test_parts_of_a_sum_have_errors_but_no_spread():
    p = Prediction(MEANS, np.full(3, 0.1), pool=Pool("sum", 1.0))
    found = evaluate(p, Y)
    json.dumps(found, allow_nan=False)
    assert found["overall"]["crps"] == found["overall"]["mae"]
    assert found["overall"]["coverage"] == {}
    assert found["reliability"]["level"] == []
    assert found["calibration"]["error"] is None
    assert found["diversity"] is None
    calibrated = Prediction(
        MEANS, p.weights, fit_calibration(p.mean[:30], p.std[:30], Y[:30]), Pool("sum", 1.0)
    )
    assert evaluate(calibrated, Y, levels=[0.9])["overall"]["coverage"]["0.9"] > 0.7
    with pytest.raises(ValueError, match="parts of a sum"):
        fit_novelty(p)
    with pytest.raises(ValueError, match="predict no spread"):
        fit_novelty(p, "total")


@pytest.mark.parametrize("kind", ["mixture", "vote", "geometric", "sum"])
def test_classes(kind):
    p = Prediction(Categorical(LOGITS), W, pool=Pool(kind))
    found = evaluate(p, LABELS)
    json.dumps(found, allow_nan=False)
    if kind == "sum":
        assert found["diversity"] is None
        return
    parts = found["diversity"]["ambiguity"]
    assert (parts["brier"] is not None) == (kind == "mixture")
    if kind == "geometric":  # its own crowd, so that the loss is the collective's
        assert parts["cross_entropy"]["crowd"] == pytest.approx(log_loss(p.probabilities, LABELS))


def test_weights_of_their_own_for_every_output():
    weights = RNG.dirichlet(np.ones(3), (60, 2)).transpose(2, 0, 1)
    p = Prediction(Normal(MEANS, STDS), weights)
    found = evaluate(p, Y)
    parts = found["diversity"]["per_target"][1]["ambiguity"]
    assert parts["crowd"] == pytest.approx(found["per_target"][1]["rmse"] ** 2)
    assert parts["crowd"] == pytest.approx(parts["members"] - parts["diversity"])
    each = fit_variance(p.outputs, weights, Y, per_output=True)
    alone = [
        fit_variance(Normal(MEANS[..., [d]], STDS[..., [d]]), weights[..., [d]], Y[:, [d]])
        for d in range(2)
    ]
    np.testing.assert_allclose(
        np.ravel(each.values), np.ravel([one.values for one in alone]), rtol=1e-5
    )


def test_temperature_of_a_geometric_pool_is_that_of_its_mean_logits():
    pool, labels = Pool("geometric"), (3 * LOGITS[0] + RNG.gumbel(size=(80, 4))).argmax(-1)
    found = fit_temperatures(Categorical(LOGITS), W, labels, pool=pool)
    want = fit_temperature(np.einsum("m,mrc->rc", W, LOGITS), labels)
    assert found.values[0] == pytest.approx(want, rel=1e-5)


def test_temperature_of_a_sum_scales_its_logits():
    intercept = np.array([0.5, 0.0, 0.0, -0.5])
    labels = (LOGITS.sum(0) + intercept + RNG.gumbel(size=(80, 4))).argmax(-1)
    found = fit_temperatures(
        Categorical(4 * LOGITS), np.ones(3), labels, pool=Pool("sum", intercept)
    )

    def loss(t):
        z = intercept + 4 * LOGITS.sum(0) / t
        return -log_softmax(z, axis=-1)[np.arange(80), labels].mean()

    want = minimize_scalar(loss, bounds=(0.05, 20), options={"xatol": 1e-9})
    assert found.values[0] == pytest.approx(want.x, rel=1e-4)
    with pytest.raises(ValueError, match="parts of a sum"):
        fit_temperatures(Categorical(LOGITS), W, labels, "member", Pool("sum"))
    with pytest.raises(ValueError, match="hard votes"):
        fit_temperatures(Categorical(LOGITS), W, labels, pool=Pool("vote"))


@pytest.mark.parametrize("per_output", [False, True])
def test_variance_of_a_linear_pool_is_that_of_its_normal(per_output):
    pool = Pool("linear", np.array([0.3, -0.2]))
    y = 3 * Y
    found = fit_variance(Normal(MEANS, STDS), COEFFICIENTS, y, per_output=per_output, pool=pool)
    said = Prediction(Normal(MEANS, STDS), COEFFICIENTS, pool=pool)

    def loss(s, d):
        std = np.sqrt(s**2 * said.aleatoric + said.epistemic)
        return -st.norm.logpdf(y, said.mean, std)[:, d].mean()

    for d in [0, 1] if per_output else [[0, 1]]:
        want = minimize_scalar(lambda s, d=d: loss(s, d), bounds=(0.01, 100))
        value = np.ravel(found.values)[d] if per_output else np.ravel(found.values)[0]
        assert value == pytest.approx(want.x, rel=1e-4)
