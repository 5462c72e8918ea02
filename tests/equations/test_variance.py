"""Variance recalibration: the closed form, SciPy's minimiser, every namespace."""

import json

import jax.numpy as jnp
import mlx.core as mx
import numpy as np
import pytest
import scipy.stats as st
import torch
from scipy.optimize import minimize_scalar

from shoal.equations.members import check_members, usable
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.recalibration import fit_recalibration, from_dict
from shoal.equations.temperature import Temperature
from shoal.equations.variance import LIMITS, VarianceScale, closed_form_scale, fit_variance

RNG = np.random.default_rng(0)
W = np.array([0.6, 0.4])
TRUTH = RNG.normal(size=(500, 2, 3))
MEANS = TRUTH + 0.3 * RNG.normal(size=(2, 500, 2, 3))
STDS = RNG.uniform(0.1, 0.3, MEANS.shape)
Y = TRUTH + 0.9 * RNG.normal(size=TRUTH.shape)
SAID = Normal(MEANS, STDS)


def test_the_closed_form_is_scipys_minimum():
    def nll(s):
        return -st.norm.logpdf(Y, MEANS[0], s * STDS[0]).mean()

    want = minimize_scalar(nll, bounds=(0.01, 100), options={"xatol": 1e-10})
    found = closed_form_scale(MEANS[0], STDS[0], Y)
    assert found == pytest.approx(want.x, rel=1e-6)
    z = (Y - MEANS[0]) / (found * STDS[0])
    assert (z**2).mean() == pytest.approx(1.0)  # what it is for


def test_members_have_their_own_factors_and_each_output_if_asked():
    one = fit_variance(SAID, W, Y, by="member")
    assert np.shape(one.values) == (2, 1, 1)
    np.testing.assert_allclose(np.ravel(one.values)[1], closed_form_scale(MEANS[1], STDS[1], Y))
    each = fit_variance(SAID, W, Y, by="member", per_output=True)
    want = np.sqrt((((Y - MEANS) / STDS) ** 2).mean(axis=1))
    np.testing.assert_allclose(each.values, want)


def test_the_crowds_factor_is_the_mixtures_minimum():
    def nll(s, part=...):
        p = np.einsum("m,m...->...", W, st.norm.pdf(Y, MEANS, s * STDS))
        return -np.log(p[part]).mean()

    found = fit_variance(SAID, W, Y)
    want = minimize_scalar(nll, bounds=(0.01, 100), options={"xatol": 1e-9})
    assert np.ravel(found.values)[0] == pytest.approx(want.x, rel=1e-4)
    assert found.after == pytest.approx(want.fun)
    assert found.before == pytest.approx(nll(1.0))
    assert found.after < fit_variance(SAID, W, Y, by="member").after
    each = fit_variance(SAID, W, Y, per_output=True)
    part = (slice(None), 1, 2)
    want = minimize_scalar(lambda s: nll(s, part), bounds=(0.01, 100), options={"xatol": 1e-9})
    assert np.asarray(each.values)[0, 1, 2] == pytest.approx(want.x, rel=1e-4)
    assert each.after <= found.after


def test_the_factor_that_was_hidden_is_found():
    means = RNG.normal(size=(2, 20000, 1))
    stds = RNG.uniform(0.2, 2.0, means.shape)
    which = RNG.random((20000, 1)) < W[0]
    y = np.where(which, means[0] + 2.5 * stds[0] * RNG.normal(size=which.shape), 0)
    y = np.where(which, y, means[1] + 2.5 * stds[1] * RNG.normal(size=which.shape))
    found = fit_variance(Normal(means, stds), W, y)
    assert np.ravel(found.values)[0] == pytest.approx(2.5, rel=0.02)


def test_what_was_not_observed_does_not_count():
    gone, wrong = Y.copy(), Y.copy()
    mask = RNG.random(Y.shape) < 0.6
    gone[~mask], wrong[~mask] = np.nan, 1e9
    for by in ("crowd", "member"):
        first, second = (
            fit_variance(SAID, W, gone, by=by),
            fit_variance(SAID, W, wrong, mask, by=by),
        )
        assert first == second
        assert first.rows == mask.sum()
    gone[:, 0, 0] = np.nan
    for by in ("crowd", "member"):
        never = np.asarray(fit_variance(SAID, W, gone, by=by, per_output=True).values)
        assert (never[:, 0, 0] == 1).all()


def test_weights_per_row_are_the_rows_own():
    rows = np.stack([np.arange(500) % 2, 1 - np.arange(500) % 2]).astype(float)
    picked = rows[0][:, None, None] > 0
    alone = Normal(*(np.where(picked, part[0], part[1])[None] for part in SAID))
    want = fit_variance(alone, np.ones(1), Y).values
    np.testing.assert_allclose(fit_variance(SAID, rows, Y).values, want, rtol=1e-5)


@pytest.mark.parametrize(
    ("xp", "make"), [(jnp, jnp.asarray), (torch, torch.as_tensor), (mx, mx.array)]
)
def test_one_source_for_every_namespace(xp, make):
    said = [part[:, :7].astype(np.float32) for part in SAID]
    for per_output in (False, True):
        scale = fit_variance(SAID, W, Y, by="member", per_output=per_output)
        want = scale.apply(np, Normal(*said)).std
        found = scale.apply(xp, Normal(*map(make, said)))
        np.testing.assert_allclose(np.asarray(found.std), want, rtol=1e-6)
        assert found.std.dtype == make(said[1]).dtype


def test_facts_survive_json():
    for found in (fit_variance(SAID, W, Y), fit_variance(SAID, W, Y, by="member", per_output=True)):
        assert from_dict(json.loads(json.dumps(found.to_dict()))) == found
    with pytest.raises(ValueError, match="temperature, variance"):
        from_dict({"kind": "isotonic"})


def test_the_kind_follows_the_answers():
    assert isinstance(fit_recalibration(SAID, W, Y), VarianceScale)
    logits = Categorical(RNG.normal(size=(2, 30, 3)))
    assert isinstance(fit_recalibration(logits, W, RNG.integers(0, 3, 30)), Temperature)
    with pytest.raises(ValueError, match="point members"):
        fit_recalibration(MEANS, W, Y)


def test_errors_of_zero_end_at_the_limit():
    found = fit_variance(Normal(MEANS[:1], STDS[:1]), np.ones(1), MEANS[0])
    assert found.at_limit
    assert np.ravel(found.values)[0] == pytest.approx(LIMITS[0])


def test_bad_input_is_refused():
    broken = MEANS.copy()
    broken[1, 3] = np.inf
    with pytest.raises(ValueError, match="member 1 of 2 has no finite answer to row 3"):
        fit_variance(Normal(broken, STDS), W, Y)
    with pytest.raises(ValueError, match="positive"):
        fit_variance(Normal(MEANS, 0 * STDS), W, Y)
    with pytest.raises(ValueError, match="rows"):
        fit_variance(SAID, W, Y[:, 0])
    with pytest.raises(ValueError, match="points have no std"):
        fit_variance(MEANS, W, Y)
    with pytest.raises(ValueError, match="observed"):
        fit_variance(SAID, W, np.full(Y.shape, np.nan))
    with pytest.raises(ValueError, match="do not fit"):
        VarianceScale([[[1.0]], [[1.0]], [[1.0]]]).apply(np, SAID)


def test_members_that_are_not_finite_are_named():
    points = np.zeros((4, 3, 2))
    points[[1, 3], 2, 0] = np.nan
    assert usable(points).sum() == 10
    with pytest.raises(ValueError, match=r"members 1, 3 of 4 have .* row 2 \(1 of 3 rows\)"):
        check_members(points)
    logits = np.zeros((1, 2, 3))
    logits[0, 0, 0] = -np.inf
    check_members(Categorical(logits))  # one class ruled out
    logits[0, 1] = -np.inf
    with pytest.raises(ValueError, match="row 1"):
        check_members(Categorical(logits))
