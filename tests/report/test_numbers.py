"""The numbers behind figures and sentences, against ones known beforehand."""

import numpy as np
import pytest

from shoal.report import Classification, Evaluation, Results
from shoal.report import measures as q
from shoal.report.calibration import coverage_by_level, transform
from shoal.report.cautions import cautions
from shoal.report.classes import calibration_error
from shoal.report.diversity import _crowd_size, ambiguity
from shoal.report.figure import band, thin
from shoal.report.headline import sentences, tiles


def growing(n=400, horizon=8, **more):
    """Errors that grow a little faster than the lead time, with a spread that knows."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(n, horizon, 1)) * 10
    size = np.arange(1, horizon + 1.0)[:, None] ** 1.3 + 0 * y
    return Evaluation(y=y, mean=y + size * rng.normal(size=y.shape), std=size, **more)


def test_rmse_leaves_out_what_is_masked():
    y = np.array([[[1.0]], [[2.0]], [[np.nan]]])
    e = Evaluation(y=y, mean=np.array([[[2.0]], [[5.0]], [[9.0]]]))
    assert q.rmse(e, e.mean)[0, 0] == pytest.approx(np.sqrt((1 + 9) / 2))


def test_error_doubles_at_the_second_step():
    assert q.doubling(growing()) == 2
    flat = np.ones((9, 5, 1))
    assert q.doubling(Evaluation(y=flat, mean=flat * 2)) is None


def test_a_right_spread_is_calibrated_and_half_of_it_is_not():
    e = growing()
    levels, found = coverage_by_level(e)
    assert np.abs(found.mean(1) - levels).max() < 0.03
    narrow = Evaluation(y=e.y, mean=e.mean, std=e.std / 2)
    assert coverage_by_level(narrow)[1][8].mean() < 0.65
    u = transform(e)
    assert np.abs(np.histogram(u, 5, (0, 1))[0] / len(u) - 0.2).max() < 0.03


def test_ambiguity_adds_up_and_agrees_with_the_curve():
    rng = np.random.default_rng(1)
    y = rng.normal(size=(50, 3, 2))
    members = y + rng.normal(size=(6, 50, 3, 2))
    e = Evaluation(y=y, mean=members.mean(0), members=members)
    single, crowd, spread = ambiguity(e)
    assert crowd == pytest.approx(single - spread)
    error = (members - y).reshape(6, -1)
    curve = _crowd_size(error).traces[1]["y"]
    assert curve[0] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-4)
    assert curve[-1] == pytest.approx(np.sqrt((error.mean(0) ** 2).mean()), rel=1e-4)


def test_the_headline_follows_the_numbers():
    e = growing()
    near = Evaluation(y=e.y, mean=e.mean, std=e.std, baselines={"naive": e.y + 100.0})
    far = Evaluation(y=e.y, mean=e.mean, std=e.std / 3, baselines={"naive": e.y + 0.1})
    good, bad = (Results(name="r", evaluation=v) for v in (near, far))
    assert "smaller than that of the best simple method, naive" in " ".join(sentences(good))
    assert "knows how sure it is" in " ".join(sentences(good))
    assert "larger" in " ".join(sentences(bad))
    assert "surer than it should be" in " ".join(sentences(bad))
    assert all(t.good for t in tiles(good))
    assert not any(t.good for t in tiles(bad))
    assert any("naive does better" in c for c in cautions(bad))
    assert not any("naive" in c for c in cautions(good))


def test_failed_members_are_named():
    rows = [
        {"index": 0, "seed": 42, "status": "finished", "best_loss": 0.1},
        {"index": 1, "seed": 43, "status": "diverged", "best_loss": float("nan"), "reason": "NaN"},
    ]
    said = cautions(Results(name="r", members=rows))
    assert said == ["Member 1 (seed 43) failed: NaN; it counts for nothing in the collective."]


def test_calibration_error_of_honest_and_boastful_classes():
    rng = np.random.default_rng(2)
    p = rng.uniform(0.5, 1, 20000)
    labels = (rng.uniform(size=len(p)) > p).astype(int)
    honest = Classification(probabilities=np.stack([p, 1 - p], 1), labels=labels)
    sure = np.full_like(p, 0.999)
    boastful = Classification(probabilities=np.stack([sure, 1 - sure], 1), labels=labels)
    assert calibration_error(honest) < 0.02
    assert calibration_error(boastful) == pytest.approx(0.249, abs=0.02)


def test_a_band_goes_there_and_back_without_gaps():
    (trace,) = band([1, 2, 3], [0, np.nan, 0], [1, 1, 2], "b", "#000000")
    assert trace["x"] == [1, 3, 3, 1]
    assert trace["y"] == [1.0, 2.0, 0.0, 0.0]


def test_thinning_keeps_the_ends():
    rows = thin(1000, 7)
    assert len(rows) == 7
    assert rows[[0, -1]].tolist() == [0, 999]
