"""Temperature scaling against SciPy's minimiser, its defining properties, and every namespace."""

import json

import jax.numpy as jnp
import mlx.core as mx
import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.special import softmax as scipy_softmax

from shoal.equations.combine import softmax, weighted_mean
from shoal.equations.outputs import Categorical
from shoal.equations.temperature import LIMITS, Temperature, fit_temperature, fit_temperatures

RNG = np.random.default_rng(0)
W = np.array([0.5, 0.3, 0.2])


def drawn(rows=4000, classes=5, temperature=1.0, seed=0):
    """Logits whose labels were drawn from softmax(logits/temperature)."""
    rng = np.random.default_rng(seed)
    logits = 2.0 * rng.normal(size=(rows, classes))
    gumbel = rng.gumbel(size=logits.shape)
    return logits, (logits / temperature + gumbel).argmax(1)


def nll(logits, labels):
    return -log_softmax(logits, axis=-1)[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_minimum_is_scipys(temperature):
    logits, labels = drawn(400, temperature=temperature)
    want = minimize_scalar(
        lambda t: nll(logits / t, labels), bounds=(0.05, 20), options={"xatol": 1e-10}
    )
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(want.x, rel=1e-5)
    assert nll(logits / found, labels) <= want.fun + 1e-14


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    found = fit_temperature(*drawn(20000, temperature=temperature))
    assert found == pytest.approx(temperature, rel=0.04)


def test_scaling_logits_scales_the_temperature():
    logits, labels = drawn(500)
    once = fit_temperature(logits, labels)
    assert fit_temperature(3.0 * logits + 7.0, labels) == pytest.approx(3.0 * once, rel=1e-9)


def test_a_crowds_temperature_fits_the_pool():
    logits, labels = drawn(3000, temperature=2.0)
    outputs = Categorical(logits + RNG.normal(size=(3, *logits.shape)))
    found = fit_temperatures(outputs, W, labels)

    def pooled(t):
        p = np.einsum("m,mrc->rc", W, scipy_softmax(outputs.logits / t, axis=-1))
        return -np.log(p[np.arange(len(labels)), labels]).mean()

    want = minimize_scalar(pooled, bounds=(0.05, 20), options={"xatol": 1e-9})
    assert found.values[0] == pytest.approx(want.x, rel=1e-4)
    assert found.after == pytest.approx(pooled(found.values[0]))
    assert found.before == pytest.approx(pooled(1.0))
    by_member = fit_temperatures(outputs, W, labels, by="member")
    assert by_member.values == tuple(fit_temperature(z, labels) for z in outputs.logits)
    assert found.after < by_member.after  # honest members pool to a crowd that is too soft


def test_the_order_of_the_classes_stays():
    logits, labels = drawn(200)
    outputs = Categorical(logits[None])
    scaled = fit_temperatures(outputs, np.ones(1), labels).apply(np, outputs)
    np.testing.assert_array_equal(scaled.logits.argmax(-1), outputs.logits.argmax(-1))


@pytest.mark.parametrize(
    ("xp", "make"), [(jnp, jnp.asarray), (torch, torch.as_tensor), (mx, mx.array)]
)
def test_one_source_for_every_namespace(xp, make):
    logits = RNG.normal(size=(3, 6, 4)).astype(np.float32)
    for values in ((1.7,), (0.5, 1.0, 2.0)):
        want = Temperature(values).apply(np, Categorical(logits)).logits
        found = Temperature(values).apply(xp, Categorical(make(logits))).logits
        np.testing.assert_allclose(np.asarray(found), want, rtol=1e-6)
        assert found.dtype == make(logits).dtype


def test_each_member_is_divided_by_its_own():
    logits = RNG.normal(size=(3, 6, 4))
    found = Temperature((0.5, 1.0, 2.0)).apply(np, Categorical(logits)).logits
    np.testing.assert_allclose(found, [2 * logits[0], logits[1], logits[2] / 2])


def test_all_right_stops_at_the_limit_and_says_so():
    outputs = Categorical(np.tile([3.0, 0.0], (2, 10, 1)))
    for by in ("crowd", "member"):
        found = fit_temperatures(outputs, np.full(2, 0.5), np.zeros(10, int), by)
        assert found.at_limit
        assert found.values[0] == pytest.approx(LIMITS[0])
    wrong = fit_temperatures(outputs, np.full(2, 0.5), np.ones(10, int))
    assert wrong.at_limit
    assert wrong.values[0] == pytest.approx(LIMITS[1])


def test_a_class_that_cannot_be_does_not_count():
    logits, labels = drawn(300, classes=3)
    more = np.concatenate([logits, np.full((300, 1), -np.inf)], axis=1)
    assert fit_temperature(more, labels) == pytest.approx(fit_temperature(logits, labels))


def test_facts_survive_json():
    found = fit_temperatures(Categorical(drawn(50)[0][None]), np.ones(1), drawn(50)[1])
    assert Temperature.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_bad_input_is_refused():
    logits, labels = drawn(20)
    stacked = np.stack([logits, logits, logits])
    stacked[1, 4, 0] = np.nan
    with pytest.raises(ValueError, match="member 1 of 3 has no finite answer to row 4"):
        fit_temperatures(Categorical(stacked), W, labels)
    with pytest.raises(ValueError, match=r"0\.\.4"):
        fit_temperature(logits, labels + 1)
    with pytest.raises(ValueError, match="at least one row"):
        fit_temperature(logits, labels[:-1])
    with pytest.raises(ValueError, match="crowd"):
        fit_temperatures(Categorical(logits[None]), np.ones(1), labels, by="rows")
    with pytest.raises(ValueError, match="3 temperatures, but 2 members"):
        Temperature((1.0, 1.0, 1.0)).apply(np, Categorical(stacked[:2]))
    with pytest.raises(ValueError, match="positive"):
        Temperature((0.0,))


def test_pooled_probabilities_are_the_crowds():
    logits = RNG.normal(size=(3, 8, 4))
    scaled = Temperature((2.0,)).apply(np, Categorical(logits))
    want = np.einsum("m,mrc->rc", W, scipy_softmax(logits / 2.0, axis=-1))
    np.testing.assert_allclose(weighted_mean(W, softmax(np, scaled.logits)), want)
