"""Recalibration, conformal forms and novelty of a whole collective, each on rows of its own."""

from types import SimpleNamespace

import numpy as np
import pytest

from shoal.collective import Collective
from shoal.equations.outputs import Categorical, Normal
from shoal.score import accuracy, coverage, ece, log_loss, nll_mixture, spread_skill
from shoal.weighting import Fixed, Pooled

RNG = np.random.default_rng(0)
NOISE = 0.5


def too_sure(shift):
    """A normal member whose std is five times too small."""
    return lambda x, timespans: Normal(x[:, :1] + shift, np.full((len(x), 1), NOISE / 5))


def boastful(shift):
    """A member of three classes whose logits are four times too large."""
    return lambda x, timespans: Categorical(4 * x + shift)


def rows(n, seed, classes=False):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    labels = (x + rng.gumbel(size=x.shape)).argmax(1)
    y = labels if classes else x[:, :1] + NOISE * rng.normal(size=(n, 1))
    return SimpleNamespace(x=x, timespans=None, mask=None, y=y, y_mask=None)


NORMAL = Collective.of([too_sure(s) for s in (-0.1, 0.0, 0.1)], Fixed([1.0, 2.0, 1.0]))
CLASSES = Collective.of([boastful(s) for s in (-0.1, 0.0, 0.1)])
POINTS = Collective.of([lambda x, t, s=s: x[:, :1] + s for s in (-0.1, 0.0, 0.1)])
VALID, FRESH = rows(1500, 1), rows(1500, 2)


@pytest.mark.parametrize("by", ["crowd", "member"])
def test_variance_is_made_honest_on_other_rows(by):
    crowd = NORMAL.recalibrate(VALID, by=by)
    before, after = NORMAL.predict(FRESH), crowd.predict(FRESH)
    assert spread_skill(before.mean, before.std, FRESH.y) < 0.3
    assert abs(spread_skill(after.mean, after.std, FRESH.y) - 1) < 0.1
    assert abs(coverage(*after.interval(0.9), FRESH.y)[0] - 0.9) < 0.03
    np.testing.assert_array_equal(after.mean, before.mean)
    np.testing.assert_array_equal(after.weights, before.weights)
    np.testing.assert_array_equal(after.total, after.aleatoric + after.epistemic)
    surprise = [nll_mixture(p.weights, *p.outputs, FRESH.y).mean() for p in (before, after)]
    assert surprise[1] < surprise[0] - 1


def test_temperature_makes_classes_honest_and_keeps_their_order():
    crowd = CLASSES.recalibrate(rows(1500, 1, classes=True), "temperature")
    fresh = rows(1500, 2, classes=True)
    before, after = CLASSES.predict(fresh).probabilities, crowd.predict(fresh).probabilities
    assert ece(after, fresh.y) < 0.05 < ece(before, fresh.y)
    assert log_loss(after, fresh.y) < log_loss(before, fresh.y)
    assert accuracy(after, fresh.y) == pytest.approx(accuracy(before, fresh.y), abs=0.01)
    (found,) = crowd.recalibration.values
    assert found == pytest.approx(4.0, rel=0.15)


def test_recalibration_comes_before_the_conformal_step_and_drops_what_was_fitted_after_it():
    whole = NORMAL.with_novelty(VALID).calibrate(rows(300, 3), score="scaled")
    again = whole.recalibrate(VALID)
    assert again.calibration is None
    assert again.novelty is None
    both = again.calibrate(rows(300, 3), score="scaled")
    old, new = whole.calibration.scores, both.calibration.scores
    assert np.median(new) < np.median(old) / 3  # in units of a std that is honest now
    assert abs(coverage(*both.predict(FRESH).interval(0.9), FRESH.y)[0] - 0.9) < 0.05
    assert both.select([0, 1]).recalibration is None


def test_quantiles_are_moved_level_by_level():
    crowd = NORMAL.calibrate(rows(600, 3), method="cqr", levels=(0.5, 0.9))
    p = crowd.predict(FRESH)
    assert p.calibrated
    for level in (0.5, 0.9):
        assert abs(coverage(*p.interval(level), FRESH.y)[0] - level) < 0.05
        moved = np.subtract(p.interval(level), p.own_interval(level))
        np.testing.assert_allclose(moved[1], crowd.calibration.quantile(level)[0])
    with pytest.raises(ValueError, match=r"levels 0\.5, 0\.9, got 0\.8"):
        p.interval(0.8)


def test_bagged_members_are_calibrated_on_their_own_rows():
    """Members that learned their rows by heart: only those that did not see a row may answer it."""
    train = rows(400, 5)
    in_bag = RNG.poisson(1.0, (12, 400))
    in_bag[:, :5] = 1  # these nobody left out
    pairs = list(zip(train.x[:, 0].astype(np.float32).tolist(), train.y[:, 0], strict=True))
    known = [{x: y for (x, y), n in zip(pairs, bag, strict=True) if n} for bag in in_bag]
    crowd = Collective.of(
        [lambda x, t, k=k: np.array([[k.get(float(v), v)] for v in x[:, 0]]) for k in known]
    )
    honest = crowd.calibrate_out_of_bag(train, in_bag)
    share = coverage(*honest.predict(FRESH).interval(0.9), FRESH.y)[0]
    assert abs(share - 0.9) < 0.04
    fooled = crowd.calibrate(train)  # as if training rows were new ones
    assert coverage(*fooled.predict(FRESH).interval(0.9), FRESH.y)[0] < share - 0.05
    assert honest.calibration.method == "enbpi"
    assert honest.calibration.counts[0] == 395
    with pytest.raises(ValueError, match="every member saw every row"):
        crowd.calibrate_out_of_bag(train, np.ones((12, 400)))
    with pytest.raises(ValueError, match="pooled by 'linear'"):
        Collective(crowd.population, Pooled([1.0] * 12, "linear")).calibrate_out_of_bag(
            train, in_bag
        )


def test_strange_rows_stand_out():
    spread = Collective.of([lambda x, t, s=s: s * x[:, :1] for s in (0.8, 1.0, 1.2)])
    crowd = spread.with_novelty(VALID)
    far = FRESH.x + 8.0
    assert (crowd.novelty.p_value(crowd.predict(far)) < 0.05).mean() > 0.9
    assert (crowd.novelty.p_value(crowd.predict(FRESH)) < 0.05).mean() < 0.1
    assert crowd.select([0, 1]).novelty is None


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: POINTS.recalibrate(VALID), "point members have no probabilities"),
        (lambda: POINTS.recalibrate(VALID, "variance"), "these members answer points"),
        (lambda: NORMAL.recalibrate(VALID, "temperature"), 'use kind="variance"'),
        (lambda: NORMAL.recalibrate(VALID, "isotonic"), "must be auto, temperature or variance"),
        (lambda: CLASSES.calibrate(rows(50, 1, classes=True)), "classes have no intervals"),
        (lambda: NORMAL.calibrate(VALID, method="jackknife"), '"conformal" or "cqr"'),
        (lambda: NORMAL.calibrate(VALID, method="cqr", levels=()), "at least one level"),
    ],
)
def test_refusals(act, message):
    with pytest.raises(ValueError, match=message):
        act()
