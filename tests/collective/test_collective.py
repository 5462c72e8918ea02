"""A crowd asked as one: units, shapes, batches, and what it refuses."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from shoal.collective import Collective
from shoal.data.scaling import fit_scaling
from shoal.data.sequences import Sequences
from shoal.equations.outputs import Categorical, Normal
from shoal.population import Population
from shoal.weighting import Fixed

RNG = np.random.default_rng(0)
TRACES = []


class Linear(eqx.Module):
    """A member that sums up a sequence: (batch, 2, 1), as a forecast of two steps."""

    w: jax.Array
    answer: str = eqx.field(static=True, default="point")

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        TRACES.append(x.shape)
        weight = jnp.ones(x.shape[:2]) if timespans is None else timespans
        weight = weight if mask is None else weight * mask
        total = jnp.einsum("btf,bt,fo->bo", x, weight, self.w)[..., None]
        if self.answer == "normal":
            return Normal(total, jnp.ones_like(total) * jnp.abs(self.w).sum())
        return Categorical(total[..., 0]) if self.answer == "categorical" else total


def crowd_of(n=3, features=2, answer="point", **parts):
    members = [
        Linear(jnp.asarray(RNG.normal(size=(features, 2)), jnp.float32), answer) for _ in range(n)
    ]
    return Collective(Population.of(members), **parts)


def inputs(rows=5, time=4, features=2):
    return RNG.normal(size=(rows, time, features)), RNG.uniform(0.1, 2, (rows, time))


def by_hand(crowd, x, timespans):
    w = np.stack([np.asarray(crowd.population.member(i).w, float) for i in range(crowd.n_models)])
    return np.einsum("btf,bt,mfo->mbo", x, timespans, w)[..., None]


def test_mean_and_spread_are_the_members():
    crowd, (x, t) = crowd_of(), inputs()
    p, want = crowd.predict(x, t), by_hand(crowd, x, t)
    np.testing.assert_allclose(p.members, want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(p.mean, want.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(p.std, want.std(0), rtol=1e-4, atol=1e-5)


def test_weights_and_their_names():
    x, t = inputs()
    crowd = crowd_of(weighting={"kind": "fixed", "weights": [1, 0, 3]})
    p = crowd.predict(x, t)
    np.testing.assert_allclose(p.mean, 0.25 * p.members[0] + 0.75 * p.members[2])
    with pytest.raises(ValueError, match="2 weights, but there are 3"):
        crowd_of(weighting=Fixed([1, 1])).predict(x, t)


def test_normals_and_classes():
    x, t = inputs()
    p = crowd_of(answer="normal").predict(x, t)
    np.testing.assert_allclose(p.std**2, p.aleatoric + p.epistemic)
    assert (p.aleatoric > 0).all()
    p = crowd_of(answer="categorical").predict(x, t)
    np.testing.assert_allclose(p.probabilities.sum(-1), 1.0)


def test_many_batch_sizes_compile_a_few_programs():
    crowd = crowd_of()
    TRACES.clear()
    for rows in range(1, 40):
        x, t = inputs(rows)
        p = crowd.predict(x, t)
        np.testing.assert_allclose(p.members, by_hand(crowd, x, t), rtol=1e-3, atol=1e-4)
    assert len(set(TRACES)) == len(TRACES) <= 4  # 8, 16, 32, 64 rows


def test_large_inputs_are_cut_and_put_together(monkeypatch):
    import shoal.collective.batches as batches

    monkeypatch.setattr(batches, "LARGEST", 16)
    crowd, (x, t) = crowd_of(), inputs(37)
    np.testing.assert_allclose(
        crowd.predict(x, t).members, by_hand(crowd, x, t), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("answer", ["point", "normal"])
def test_scaling_takes_raw_inputs_and_gives_raw_answers(answer):
    x, t = inputs(30)
    x = 100 + 7 * x
    x[RNG.random(x.shape) < 0.2] = np.nan
    y = RNG.normal(50, 9, (30, 2, 1))
    scaling = fit_scaling(Sequences(x, t, y=y), ["a", "b"])
    crowd = crowd_of(features=scaling.encoded_size, scaling=scaling, answer=answer)
    p = crowd.predict(x, t)
    inner = crowd.population(
        jnp.asarray(scaling.encode(np, x, t), jnp.float32), jnp.asarray(t, jnp.float32)
    )
    mean, std = scaling.target_mean[0][0], scaling.target_std[0][0]
    raw = inner.mean if answer == "normal" else inner
    np.testing.assert_allclose(p.members, np.asarray(raw, float) * std + mean, rtol=1e-4)
    if answer == "normal":
        np.testing.assert_allclose(p.outputs.std, np.asarray(inner.std, float) * std, rtol=1e-5)


def test_padding_is_never_read():
    x, t = inputs()
    mask = np.ones((5, 4), bool)
    mask[:, 3:] = False
    wild, wild_t = x.copy(), t.copy()
    wild[:, 3:], wild_t[:, 3:] = np.nan, 0.0
    crowd = crowd_of()
    np.testing.assert_allclose(
        crowd.predict(wild, wild_t, mask).mean, crowd.predict(x[:, :3], t[:, :3]).mean, rtol=1e-5
    )


def test_timespans_of_every_shape_and_their_default():
    crowd, (x, _) = crowd_of(), inputs()
    want = crowd.predict(x, np.full((5, 4), 2.0)).mean
    for t in (2.0, np.full(4, 2.0), np.full((4, 1), 2.0), np.full((5, 4, 1), 2.0)):
        np.testing.assert_array_equal(crowd.predict(x, t).mean, want)
    np.testing.assert_allclose(crowd.predict(x).mean, crowd.predict(x, 1.0).mean, rtol=1e-6)


def test_a_nan_member_is_refused_by_number():
    crowd, (x, t) = crowd_of(), inputs()
    members = [crowd.population.member(i) for i in range(3)]
    members[1] = eqx.tree_at(lambda m: m.w, members[1], jnp.full((2, 2), jnp.nan))
    bad = Collective(Population.of(members, seeds=[7, 8, 9]))
    with pytest.raises(ValueError, match=r"members 1 \(seed 8\).*select\(\[0, 2\]\)"):
        bad.predict(x, t)
    np.testing.assert_allclose(
        bad.select([0, 2]).predict(x, t).members, crowd.predict(x, t).members[[0, 2]]
    )


@pytest.mark.parametrize(
    ("x", "t", "message"),
    [
        (np.full((3, 4, 2), np.nan), None, "no scaling"),
        (np.full((3, 4, 2), np.inf), None, "infinite"),
        (np.zeros((3, 4, 2)), np.ones((4, 3)), "transpose it"),
        (np.zeros((3, 4, 2)), -np.ones((3, 4)), "at least 0"),
        (np.zeros(3), None, "batch, time, features"),
        (np.zeros((0, 4, 2)), None, "at least one row"),
    ],
)
def test_wrong_inputs_are_refused(x, t, message):
    with pytest.raises(ValueError, match=message):
        crowd_of().predict(x, t)


def test_features_are_counted_against_the_scaling():
    x, t = inputs()
    scaling = fit_scaling(Sequences(x, t, y=RNG.normal(size=(5, 1))), ["a", "b"])
    with pytest.raises(ValueError, match="2 features a, b"):
        crowd_of(scaling=scaling).predict(np.zeros((3, 4, 5)), 1.0)


def test_calibration_makes_intervals_conformal():
    crowd, (x, t) = crowd_of(answer="normal"), inputs(50)
    y = crowd.predict(x, t).mean + RNG.normal(size=(50, 2, 1)) * [[1.0], [30.0]]
    data = Sequences(x, t, y=y)
    calibrated = crowd.calibrate(data)
    low, high = calibrated.predict(data).interval(0.9)
    inside = ((low <= y) & (y <= high)).mean(0)
    assert (inside == 0.92).all()  # ⌈51 · 0.9⌉ = 46 of 50, each horizon on its own
    assert calibrated.predict(x, t).calibrated
    assert not crowd.predict(x, t).calibrated
    assert calibrated.select([0]).calibration is None
    with pytest.raises(ValueError, match="no intervals"):
        crowd_of(answer="categorical").calibrate(data)


@pytest.mark.usefixtures("x64")
def test_double_precision_where_it_is_switched_on():
    w = RNG.normal(size=(2, 2))
    crowd, (x, t) = Collective.of([Linear(jnp.asarray(w))]), inputs()
    want = np.einsum("btf,bt,fo->bo", x, t, w)[..., None]
    np.testing.assert_allclose(crowd.predict(x, t).mean, want, rtol=1e-13, atol=1e-13)
