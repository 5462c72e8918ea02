"""The out-of-distribution score: AUROC, false alarms, and each measure by hand."""

import json

import numpy as np
import pytest
import scipy.stats as st
from sklearn.metrics import roc_auc_score

from shoal.equations.outputs import Categorical, Normal
from shoal.equations.prediction import Prediction
from shoal.score import Novelty, fit_novelty

W = np.full(8, 1 / 8)


def lines(x, seed=0):
    """Eight members that agree near 0 and part ways further out."""
    slopes = np.random.default_rng(seed).normal(size=(8, 1))
    return Prediction((slopes * x)[..., None], W)


def logits(rows, spread, seed=0):
    rng = np.random.default_rng(seed)
    return Categorical(rng.normal(size=(rows, 3)) + spread * rng.normal(size=(8, rows, 3)))


def test_rows_from_elsewhere_rank_above():
    rng = np.random.default_rng(0)
    novelty = fit_novelty(lines(rng.normal(size=300)))
    here, there = lines(rng.normal(size=200)), lines(rng.normal(4, 1, 200))
    scores = np.concatenate([novelty.score(here), novelty.score(there)])
    assert roc_auc_score(np.arange(400) >= 200, scores) > 0.97
    assert np.median(novelty.p_value(there)) < 0.01


@pytest.mark.parametrize("measure", ["epistemic", "total", "share", "disagreement"])
def test_classes(measure):
    novelty = fit_novelty(Prediction(logits(400, 0.3), W), measure)
    here, there = Prediction(logits(200, 0.3, 1), W), Prediction(logits(200, 2.0, 2), W)
    scores = np.concatenate([novelty.score(here), novelty.score(there)])
    assert roc_auc_score(np.arange(400) >= 200, scores) > (0.5 if measure == "total" else 0.85)


def test_false_alarms_are_at_most_as_many_as_promised():
    """The p-value of an exchangeable row is uniform on 1/(n+1), 2/(n+1), ..., 1."""
    rng, alarms, repeats = np.random.default_rng(5), 0, 2000
    for _ in range(repeats):
        x = rng.normal(size=20)
        novelty = fit_novelty(lines(x[:19]))
        alarms += int(novelty.p_value(lines(x[19:]))[0] <= 0.2)
    low, high = st.binom.interval(0.9999, repeats, 0.2)  # 4 of 20 ranks
    assert low <= alarms <= high


def test_rows_alike_are_not_strange():
    """Votes give few values: equals count as at least as strange."""
    same = Prediction(Categorical(np.zeros((8, 9, 3))), W)  # all vote for the first class
    np.testing.assert_array_equal(fit_novelty(same, "disagreement").p_value(same), 1.0)


def test_standardised_on_its_own_rows():
    p = lines(np.random.default_rng(0).normal(size=100))
    found = fit_novelty(p).score(p)
    assert found.mean() == pytest.approx(0, abs=1e-12)
    assert found.std() == pytest.approx(1)


def test_measures_by_hand():
    rng = np.random.default_rng(0)
    means, stds = rng.normal(size=(8, 30, 2, 3)), rng.uniform(0.5, 2, (8, 30, 2, 3))
    p = Prediction(Normal(means, stds), W)
    v = means.var(axis=0)
    np.testing.assert_allclose(fit_novelty(p).raw(p), (v / v.mean(axis=0)).mean(axis=(1, 2)))
    share = v / (v + (stds**2).mean(axis=0))
    np.testing.assert_allclose(fit_novelty(p, "share").raw(p), share.mean(axis=(1, 2)))
    c = Prediction(logits(30, 1.0), W)
    votes = c.members.argmax(-1)
    pairs = [votes[i] != votes[j] for i in range(8) for j in range(i)]
    np.testing.assert_allclose(fit_novelty(c, "disagreement").raw(c), np.mean(pairs, axis=0))
    np.testing.assert_allclose(fit_novelty(c).raw(c), c.epistemic)


def test_targets_in_small_units_count_as_much():
    rng = np.random.default_rng(0)
    means = rng.normal(size=(8, 40, 2))
    scaled = Prediction(means * [1.0, 1e-6], W)
    plain = Prediction(means, W)
    np.testing.assert_allclose(
        fit_novelty(scaled).score(scaled), fit_novelty(plain).score(plain), rtol=1e-9
    )


def test_facts_survive_json():
    for p in (lines(np.arange(5.0)), Prediction(logits(9, 1.0), W)):
        novelty = fit_novelty(p)
        assert Novelty.from_dict(json.loads(json.dumps(novelty.to_dict()))) == novelty


def test_bad_input_is_refused():
    one = Prediction(np.zeros((1, 5, 1)), np.ones(1))
    with pytest.raises(ValueError, match="one member alone"):
        fit_novelty(one)
    with pytest.raises(ValueError, match="votes for classes"):
        fit_novelty(lines(np.arange(5.0)), "disagreement")
    with pytest.raises(ValueError, match="measure"):
        fit_novelty(lines(np.arange(5.0)), "variance")
    with pytest.raises(ValueError, match="no validation rows"):
        fit_novelty(lines(np.zeros(0)))
    novelty = fit_novelty(lines(np.arange(5.0)))
    with pytest.raises(ValueError, match="validation rows"):
        novelty.score(Prediction(np.zeros((8, 5, 2)), W))
    broken = np.zeros((8, 5, 1))
    broken[3, 2] = np.nan
    with pytest.raises(ValueError, match="member 3 of 8 has no finite answer to row 2"):
        novelty.score(Prediction(broken, W))
