"""Sensitivities against finite differences of what is asked, in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import shoal
from shoal.data import Sequences
from shoal.data.scaling import fit_scaling
from shoal.neurons import build_model, sensitivities
from shoal.weighting import Pooled

B, T = 2, 5
RNG = np.random.default_rng(1)
X = RNG.normal(size=(B, T, 2)) * [1.0, 3.0] + [300.0, 1.0]
ELAPSED = RNG.uniform(0.5, 3.0, (B, T))
STEP = 1e-5


def differences(ask, x, timespans):
    """Central differences of ask(x, timespans), (batch,), by every entry; NaN stays as it is."""
    found = []
    for which, base in enumerate((x, timespans)):
        slopes = np.zeros(base.shape)
        for place in np.ndindex(base.shape[1:]):
            ends = []
            for sign in (1, -1):
                moved = [np.array(x), np.array(timespans)]
                moved[which][(slice(None), *place)] += sign * STEP
                ends.append(np.asarray(ask(*moved)))
            slopes[(slice(None), *place)] = (ends[0] - ends[1]) / (2 * STEP)
        found.append(slopes)
    return found


def agree(found, ask, x, timespans, tolerance=2e-6):
    for one, expected in zip(found, differences(ask, x, timespans), strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-4, atol=tolerance)


def member(kind, key=3, **options):
    base = {"kind": kind, "input_size": 2, "units": 3, "output_shape": [2, 1], "dtype": "float64"}
    scaling = {"kind": "log", "mean": 2.0}
    return build_model(base | {"time_scaling": scaling} | options, key)


@pytest.mark.parametrize("kind", ["cfc", "ltc", "ctgru", "gru"])
def test_a_member_is_as_sensitive_as_it_moves(x64, kind):
    model = member(kind, likelihood="normal", **({"bidirectional": True} if kind == "gru" else {}))
    small = X - [300.0, 1.0]
    found = sensitivities(model, small, ELAPSED)
    agree(found, jax.jit(lambda x, t: model(x, t).mean.mean((1, 2))), small, ELAPSED)
    if kind != "cfc":
        return
    found = sensitivities(model, small, ELAPSED, output=(1, 0))
    agree(found, jax.jit(lambda x, t: model(x, t).mean[:, 1, 0]), small, ELAPSED)
    assert np.array_equal(found.features, sensitivities(model, small, ELAPSED, output=-1).features)
    one = sensitivities(model, small[1], ELAPSED[1], output=1)
    np.testing.assert_allclose(one.features, found.features[1], rtol=1e-9)


def test_a_layer_answers_with_its_last_output(x64):
    rnn = shoal.CTRNN(2, 3, dtype=jnp.float64, key=0)
    small = X - [300.0, 1.0]
    mask = np.arange(T) < [[3], [5]]
    found = sensitivities(rnn, small, ELAPSED, mask, output=2)

    @jax.jit
    def ask(x, timespans):
        return rnn.last_output(x, timespans=timespans, mask=mask)[:, 2]

    agree(found, ask, small, ELAPSED)
    assert not np.any(found.features[0, 3:])
    assert not np.any(found.timespans[0, 3:])
    assert np.any(found.features[0, 2])


def test_a_plain_function_of_jax_has_slopes_too(x64):
    found = sensitivities(
        lambda x, timespans, mask: (x[..., 0] * timespans).sum(1)[:, None], X, 2.0
    )
    np.testing.assert_allclose(found.features[..., 0], 2.0)
    np.testing.assert_allclose(found.timespans, X[..., 0])


def forecasters(**parts):
    """A crowd on raw data with a gap: one feature may be missing, the other is read as changes."""
    x = np.array(X)
    x[0, 1, 1] = x[1, 3, 1] = x[1, 4, 1] = np.nan
    y = x[:, -1:, :1] + RNG.normal(size=(B, 2, 1))
    train = Sequences(x, ELAPSED, y=y)
    options = {"targets": ["a"], "change_of": [0], "relative": [0]}
    scaling = fit_scaling(train, ["a", "b"], **options)
    make = {"kind": "cfc", "input_size": scaling.encoded_size, "units": 3, "backbone_units": 4}
    make |= {"output_shape": [2, 1], "dtype": "float64", "time_scaling": {"kind": "normalised"}}
    members = [build_model(make, key) for key in range(2)]
    crowd = shoal.Collective.of(members, scaling=scaling, **parts)
    return crowd, Sequences(x, ELAPSED)


def test_a_crowd_answers_in_raw_units_with_its_weights(x64):
    crowd, windows = forecasters(weighting={"kind": "fixed", "weights": [3.0, 1.0]})
    found = sensitivities(crowd, windows, output=(1, 0))
    agree(found, lambda x, t: crowd.predict(x, t).mean[:, 1, 0], windows.x, ELAPSED, 2e-5)
    assert not np.any(found.features[np.isnan(windows.x)])
    each = [sensitivities(crowd.select([i]), windows, output=(1, 0)) for i in range(2)]
    for part in range(2):
        mean = 0.75 * each[0][part] + 0.25 * each[1][part]
        np.testing.assert_allclose(found[part], mean, rtol=1e-9)


def test_a_forecast_of_changes_moves_with_its_series(x64):
    """All that a change knows of the level is the last value: shift it, and so is the answer."""
    crowd, windows = forecasters()
    found = sensitivities(crowd, windows)
    np.testing.assert_allclose(found.features[..., 0].sum(1), 1.0, rtol=1e-9)


def test_of_classes_it_is_the_probability(x64):
    models = [member("gru", key, output_shape=[3], likelihood="categorical") for key in (3, 9)]
    crowd = shoal.Collective.of(models)
    small = X - [300.0, 1.0]
    top = crowd.predict(small, ELAPSED).probabilities.argmax(-1)

    def ask(x, timespans):
        return crowd.predict(x, timespans).probabilities[np.arange(B), top]

    agree(sensitivities(crowd, small, ELAPSED), ask, small, ELAPSED)
    both = [sensitivities(crowd, small, ELAPSED, output=k).features for k in range(3)]
    np.testing.assert_allclose(sum(both), 0.0, atol=1e-12)  # probabilities sum to one


def test_refusals(x64):
    model = member("gru")
    with pytest.raises(ValueError, match=r"place in an answer of shape \(2, 1\), got \(2, 0\)"):
        sensitivities(model, X, output=(2, 0))
    with pytest.raises(ValueError, match=r"shape \(2,\), got 2"):
        sensitivities(model, X, output=2)
    with pytest.raises(ValueError, match="`mask` must be"):
        sensitivities(model, X, mask=np.ones((T, B)))
    crowd, windows = forecasters()
    with pytest.raises(ValueError, match=r"2 features a, b on its last axis; got \(2, 5, 1\)"):
        sensitivities(crowd, windows.x[..., :1])
    foreign = shoal.Collective.of([lambda x, timespans: x])
    with pytest.raises(ValueError, match="members of other libraries"):
        sensitivities(foreign, X)


def test_a_crowd_that_pools_otherwise_than_by_a_sum_is_refused():
    config = {"kind": "gru", "input_size": 2, "units": 3, "output_shape": [2]}
    people = shoal.Population.init(lambda key: build_model(config, key), 2)
    crowd = shoal.Collective(people, Pooled([1, 1], "median"))
    with pytest.raises(ValueError, match="no weighted mean of its members' slopes"):
        sensitivities(crowd, np.ones((1, 2, 2)), np.ones((1, 2)))
