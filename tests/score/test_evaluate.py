"""The table of all scores."""

import json

import numpy as np
import pytest

from shoal.equations.outputs import Categorical, Normal
from shoal.equations.prediction import Prediction
from shoal.score import evaluate, fit_calibration, flatten, nll_normal, rmse

RNG = np.random.default_rng(0)
W = np.full(3, 1 / 3)
MEANS, STDS, Y = (
    RNG.normal(size=(3, 40, 4, 2)),
    RNG.uniform(0.5, 1, (3, 40, 4, 2)),
    RNG.normal(size=(40, 4, 2)),
)


def test_forecast_tables():
    p = Prediction(Normal(MEANS, STDS), W)
    mask = RNG.random(Y.shape) < 0.7
    found = evaluate(p, Y, mask, levels=[0.8, 0.9])
    assert found["task"] == "forecast"
    assert found["overall"]["rmse"] == pytest.approx(rmse(p.mean, Y, mask, None))
    assert found["per_horizon"][2]["rmse"] == pytest.approx(
        rmse(p.mean[:, 2], Y[:, 2], mask[:, 2], None)
    )
    assert found["per_target"][1]["mae"] == pytest.approx(
        np.abs(p.mean - Y)[..., 1][mask[..., 1]].mean()
    )
    low, high = p.interval(0.8)
    inside = ((low <= Y) & (high >= Y))[mask].mean()
    assert found["overall"]["coverage"]["0.8"] == pytest.approx(inside)
    assert found["overall"]["count"] == mask.sum()
    want = nll_normal(MEANS[1], STDS[1], Y)[mask].mean()
    assert found["members"]["nll"][1] == pytest.approx(want)
    json.dumps(found, allow_nan=False)


def test_points_have_no_density_and_infinite_widths_are_null():
    raw = Prediction(MEANS, W)
    p = Prediction(MEANS, W, fit_calibration(raw.mean[:5], raw.std[:5], Y[:5]))
    found = evaluate(p, Y, levels=[0.9])
    assert "nll" not in found["overall"]
    assert found["overall"]["width"]["0.9"] is None
    assert found["overall"]["coverage"]["0.9"] == 1.0
    json.dumps(found, allow_nan=False)


def test_baseline_gives_skill():
    found = evaluate(Prediction(MEANS, W), Y, baseline=Y + 2.0)
    row = found["per_horizon"][0]
    assert row["baseline_rmse"] == pytest.approx(2.0)
    assert row["skill"] == pytest.approx(1 - row["rmse"] / 2.0)


def test_classes():
    p = Prediction(Categorical(RNG.normal(size=(3, 50, 4))), W)
    labels = p.probabilities.argmax(1)
    found = evaluate(p, labels)
    assert found["overall"]["accuracy"] == 1.0
    assert len(found["members"]["log_loss"]) == 3
    json.dumps(found, allow_nan=False)


def test_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="prediction's shape"):
        evaluate(Prediction(MEANS, W), Y[..., 0])


def test_flatten_keeps_every_number():
    assert flatten({"a": {"b": 1, "c": {"d": 2}}, "e": 3}) == {"a.b": 1, "a.c.d": 2, "e": 3}
