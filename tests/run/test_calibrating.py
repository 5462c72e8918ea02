"""The `calibration` section: what it refuses, and on which rows it is fitted."""

from types import SimpleNamespace

import numpy as np
import pytest

from shoal.collective import Collective
from shoal.equations.outputs import Normal
from shoal.run.calibrating import calibrated, check_blocks
from shoal.run.errors import Refused
from shoal.run.schema import Config, problems

DATA = {"path": "a.csv", "time": "t", "features": ["x"], "targets": ["x"], "window": 8}
CLASSES = {**DATA, "task": "classification", "series": "s"}
NORMAL = {"kind": "gru", "likelihood": "normal"}
POINT = {"kind": "gru", "likelihood": "point"}
BAGGED = {"enabled": True, "regime": {"kind": "bagging"}}


def config(data=DATA, model=NORMAL, ensemble=None, **calibration):
    return Config(data=data, model=model, ensemble=ensemble or {}, calibration=calibration)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"recalibrate": "temperature"}, "is for classes, and the task is 'forecast'"),
        ({"recalibrate": "variance", "model": POINT}, "set model.likelihood: normal"),
        ({"recalibrate": "variance", "data": CLASSES, "model": POINT}, "use 'temperature'"),
        (
            {"recalibrate": "temperature", "data": CLASSES, "model": POINT,
             "ensemble": {"enabled": True, "weighting": {"kind": "hard_vote"}}},
            "same at any temperature",
        ),
        ({"method": "cqr", "model": POINT}, "moves the quantiles that members predict"),
        ({"method": "enbpi"}, "the members that did not see it; set ensemble.regime"),
        (
            {"method": "enbpi", "ensemble": {**BAGGED, "weighting": {"kind": "stacking"}}},
            "'enbpi' averages members, and 'stacking' does not",
        ),
        ({"novelty": "disagreement"}, "counts votes for classes"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_the_reason(given, message):
    found = [text for _, text in problems(config(**given))]
    assert any(message in text for text in found), found


@pytest.mark.parametrize(
    "given",
    [
        {"recalibrate": "variance", "recalibrate_by": "member", "method": "cqr"},
        {"recalibrate": "temperature", "data": CLASSES, "model": POINT},
        {"recalibrate": "auto", "model": POINT},
        {"method": "enbpi", "ensemble": BAGGED},
        {"novelty": "share"},
    ],
)
def test_what_makes_sense_is_taken(given):
    assert not list(problems(config(**given)))


@pytest.mark.parametrize("given", [{"recalibrate": "auto"}, {"novelty": "epistemic"}])
def test_validation_rows_are_asked_for_before_anything_is_trained(given):
    with pytest.raises(Refused, match=r"no validation block; set data\.split\.valid"):
        check_blocks(config(**given), SimpleNamespace(valid=None))


def rows(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(200, 1))
    y = x + 0.5 * rng.normal(size=x.shape)
    return SimpleNamespace(x=x, timespans=None, mask=None, y=y, y_mask=None)


def crowd_of(n):
    wide = [
        lambda x, t, s=s: Normal(x + s, np.full(x.shape, 0.1)) for s in np.linspace(-0.1, 0.1, n)
    ]
    return Collective.of(wide)


def test_each_step_has_its_own_rows():
    """Validation rows decide the factor and the novelty, calibration rows the intervals."""
    blocks = {"valid": rows(1), "calibration": rows(2), "train": rows(3)}
    wanted = config(recalibrate="variance")
    first = calibrated(wanted, SimpleNamespace(**blocks), crowd_of(3))
    other = {**blocks, "calibration": rows(4), "train": rows(5)}
    again = calibrated(wanted, SimpleNamespace(**other), crowd_of(3))
    assert again.recalibration == first.recalibration
    assert again.novelty == first.novelty
    assert not np.array_equal(again.calibration.scores, first.calibration.scores)
    moved = calibrated(wanted, SimpleNamespace(**{**blocks, "valid": rows(6)}), crowd_of(3))
    assert moved.recalibration != first.recalibration


def test_what_can_be_had_is_taken_by_itself():
    blocks = SimpleNamespace(valid=rows(1), calibration=None, train=rows(3))
    assert calibrated(config(), blocks, crowd_of(3)).novelty.measure == "epistemic"
    assert calibrated(config(), blocks, crowd_of(1)).novelty.measure == "total"
    points = Collective.of([lambda x, t: x])
    alone = calibrated(config(model=POINT, recalibrate="auto"), blocks, points)
    assert alone.novelty is None
    assert alone.recalibration is None
    assert calibrated(config(novelty=None), blocks, crowd_of(3)).novelty is None
    with pytest.raises(Refused, match=r"calibration\.novelty: one member alone"):
        calibrated(config(novelty="share"), blocks, crowd_of(1))
