"""Scaling: the same numbers in every framework, there and back, from training data alone."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.data import Scaling, Sequences, fit_scaling, prepare
from shoal.equations import scalers
from shoal.equations.outputs import Categorical, Normal


def sequences(n=6, time=7, horizon=3, seed=0):
    """Three features, the third never missing; two targets; ragged ends."""
    random = np.random.default_rng(seed)
    x = random.normal(10.0, 3.0, (n, time, 3))
    x[..., :2][random.random((n, time, 2)) < 0.3] = np.nan
    x[:, 0, :2] = 5.0  # something to change from
    mask = np.arange(time) < random.integers(3, time + 1, n)[:, None]
    timespans = np.where(mask, random.exponential(2.0, (n, time)), 0.0)
    y = random.normal(12.0, 4.0, (n, horizon, 2))
    return Sequences(np.where(mask[..., None], x, np.nan), timespans, mask, y)


def scaling(change=True, **options):
    return fit_scaling(
        sequences(), ["a", "b", "c"], change_of=(0, 1) if change else None, **options
    )


def test_statistics_are_those_of_the_observed_values():
    s, fitted = sequences(), scaling()
    for i in range(3):
        values = s.x[..., i][~np.isnan(s.x[..., i])]
        np.testing.assert_allclose([fitted.mean[i], fitted.std[i]], [values.mean(), values.std()])
    spans = s.timespans[s.mask]
    np.testing.assert_allclose(fitted.time, (spans.mean(), spans.std(), spans.max()))


def test_only_features_that_can_be_missing_bring_columns():
    assert scaling().sparse == (0, 1)
    assert scaling().encoded_names == (
        "a",
        "b",
        "c",
        "a_missing",
        "b_missing",
        "a_age",
        "b_age",
    )
    assert scaling(missing="always").encoded_size == 9
    assert scaling(unscaled=["c"]).mean[2] == 0.0


def loop_ages(observed, timespans, mask):
    """Ages by the definition, one step after the other."""
    out = np.zeros(observed.shape)
    for b, f in np.ndindex(observed.shape[0], observed.shape[2]):
        age = 0.0
        for t in range(observed.shape[1]):
            age += timespans[b, t] if t and mask[b, t] else 0.0
            age = 0.0 if observed[b, t, f] else age
            out[b, t, f] = age
    return out


def test_ages_follow_their_definition():
    s = sequences(20, 15)
    observed = scalers.is_observed(s.x, s.mask)
    found = scalers.ages(np, observed, s.timespans, s.mask)
    kept = np.broadcast_to(s.mask[..., None], found.shape)
    expected = loop_ages(observed, s.timespans, s.mask)
    np.testing.assert_allclose(found[kept], expected[kept], atol=1e-12)


def test_what_is_missing_is_zero_with_an_indicator_and_padding_is_all_zero():
    s, fitted = sequences(), scaling()
    encoded = fitted.encode(np, s.x, s.timespans, s.mask)
    assert (encoded[~s.mask] == 0).all()
    missing = np.isnan(s.x[..., 0]) & s.mask
    assert missing.any()
    assert (encoded[missing][:, 0] == 0).all()
    assert (encoded[missing][:, 3] == 1).all()
    assert (encoded[~missing & s.mask][:, 3] == 0).all()
    assert (encoded[~missing & s.mask][:, 5] == 0).all()


@pytest.mark.parametrize("change", [False, True])
def test_decode_undoes_encode_for_points_members_and_normals(change):
    s, fitted = sequences(), scaling(change)
    z = fitted.encode_targets(np, s.y, s.x, s.mask)
    np.testing.assert_allclose(fitted.decode(np, z, s.x, s.mask), s.y, atol=1e-12)
    members = np.stack([z, z + 1.0])
    np.testing.assert_allclose(fitted.decode(np, members, s.x, s.mask)[0], s.y, atol=1e-12)
    normal = fitted.decode(np, Normal(members, np.ones_like(members)), s.x, s.mask)
    np.testing.assert_allclose(normal.mean[0], s.y, atol=1e-12)
    np.testing.assert_allclose(normal.std[1, 2], fitted.target_std, atol=1e-12)
    assert abs(z.mean()) < 1e-12 or change
    np.testing.assert_allclose(z.std(axis=0 if change else (0, 1)), 1.0)


def test_class_logits_stay_as_they_are():
    logits = Categorical(np.ones((2, 3)))
    assert scaling().decode(np, logits, sequences().x) is logits


def test_change_without_a_last_value_is_nan_and_masked():
    s, fitted = sequences(), scaling()
    x = s.x.copy()
    x[0, :, 1] = np.nan
    z = fitted.encode_targets(np, s.y, x, s.mask)
    assert np.isnan(z[0, :, 1]).all()
    assert not np.isnan(z[0, :, 0]).any()
    encoded = fitted.encode_sequences(Sequences(x, s.timespans, s.mask, s.y))
    assert not encoded.y_mask[0, :, 1].any()
    assert encoded.y_mask[0, :, 0].all()
    assert (encoded.y[0, :, 1] == 0).all()


@pytest.mark.parametrize("change", [False, True])
def test_numpy_jax_and_torch_agree(change, x64):
    s, fitted = sequences(), scaling(change, relative=(0, 2) if change else ())
    z = fitted.encode_targets(np, s.y, s.x, s.mask)
    expected = (
        fitted.encode(np, s.x, s.timespans, s.mask),
        z,
        fitted.decode(np, z, s.x, s.mask),
    )
    for xp, make in {jnp: jnp.asarray, torch: torch.as_tensor}.items():
        x, timespans, mask, y = (make(a) for a in (s.x, s.timespans, s.mask, s.y))
        z = fitted.encode_targets(xp, y, x, mask)
        found = (fitted.encode(xp, x, timespans, mask), z, fitted.decode(xp, z, x, mask))
        for a, b in zip(found, expected, strict=True):
            assert str(a.dtype).endswith("float64")
            np.testing.assert_allclose(np.asarray(a), b, atol=1e-12)


@pytest.mark.parametrize("change", [False, True])
def test_export_with_symbolic_batch_and_time(change):
    fitted = scaling(change, relative=(0, 2) if change else ())

    def there_and_back(x, timespans):
        encoded = fitted.encode(jnp, x, timespans)
        answer = jnp.sum(encoded, axis=(1, 2))[:, None, None] * jnp.ones((1, 3, 2), x.dtype)
        return encoded, fitted.decode(jnp, answer, x)

    batch, time = jax.export.symbolic_shape("batch, time")
    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in [(batch, time, 3), (batch, time)]]
    blob = jax.export.export(jax.jit(there_and_back))(*shapes).serialize()
    s = sequences(4, 9)
    x, timespans = s.x.astype(np.float32), s.timespans.astype(np.float32)
    encoded, decoded = jax.export.deserialize(blob).call(x, timespans)
    np.testing.assert_allclose(encoded, fitted.encode(np, x, timespans), rtol=1e-5, atol=1e-5)
    assert decoded.shape == (4, 3, 2)
    assert np.isfinite(decoded).all()


def test_gradients_pass_around_missing_values():
    s, fitted = sequences(), scaling()
    x = jnp.asarray(s.x, jnp.float32)
    grad = jax.jit(jax.grad(lambda x: fitted.encode(jnp, x, jnp.asarray(s.timespans)).sum()))(x)
    assert jnp.isfinite(grad).all()
    assert (grad[..., 2][s.mask] != 0).all()


def test_relative_features_are_changes_from_the_last_value_observed():
    s = sequences()
    fitted, plain = scaling(relative=(1,)), scaling()
    encoded = fitted.encode(np, s.x, s.timespans, s.mask)
    last = scalers.last_observed(np, s.x, s.mask, [1])
    expected = (s.x[..., 1] - last - fitted.mean[1]) / fitted.std[1]
    np.testing.assert_allclose(encoded[..., 1], np.where(np.isnan(expected), 0, expected))
    others = [0, 2, 3, 4, 5, 6]
    level = plain.encode(np, s.x, s.timespans, s.mask)
    np.testing.assert_array_equal(encoded[..., others], level[..., others])
    shifted = fitted.encode(np, s.x + np.array([0, 100.0, 0]), s.timespans, s.mask)
    np.testing.assert_allclose(shifted, encoded, atol=1e-12)
    assert Scaling.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted


def test_json_round_trip():
    fitted = scaling()
    assert Scaling.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted
    assert hash(fitted) == hash(scaling())


def test_encode_sequences_gives_float32_and_warns_of_what_training_never_missed():
    s = sequences()
    encoded = scaling().encode_sequences(s)
    assert {encoded.x.dtype, encoded.timespans.dtype, encoded.y.dtype} == {np.dtype(np.float32)}
    x = s.x.copy()
    x[0, 0, 2] = np.nan
    with pytest.warns(UserWarning, match="feature 'c' is missing"):
        scaling().encode_sequences(Sequences(x, s.timespans, s.mask, s.y))


def test_constant_features_are_shifted_only():
    s = Sequences(np.full((2, 2, 1), 7.0), np.ones((2, 2)), y=np.array([[0.0], [1.0]]))
    fitted = fit_scaling(s, ["a"])
    assert (fitted.mean, fitted.std) == ((7.0,), (1.0,))


@pytest.mark.parametrize("transform", ["level", "change"])
def test_no_statistic_depends_on_rows_after_training(transform):
    t = np.arange(200.0)
    values = np.sin(t / 5)
    wild = values.copy()
    wild[150:] = 1e6
    holes = values.copy()
    holes[150::3] = np.nan
    options = {"time": "t", "features": ["y", "z"], "targets": "y", "window": 10, "horizon": 4}
    options |= {"split": {"valid_from": 150, "test_from": 175}, "target_transform": transform}
    fitted = [
        prepare({"t": t, "y": y, "z": z}, **options).scaling
        for y, z in [(values, values), (wild, wild), (values, holes)]
    ]
    assert fitted[0] == fitted[1] == fitted[2]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_last_observed_is_the_last_one(data):
    time = data.draw(st.integers(1, 8))
    number = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6))
    x = np.array([data.draw(st.lists(number, min_size=time, max_size=time))])[..., None]
    seen = x[~np.isnan(x)]
    expected = seen[-1] if len(seen) else np.nan
    np.testing.assert_array_equal(scalers.last_observed(np, x, None, [0])[0, 0], expected)
