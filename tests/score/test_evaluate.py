"""The table of all scores."""

import json

import numpy as np
import pytest

from shoal.equations.outputs import Categorical, Normal
from shoal.equations.prediction import Prediction
from shoal.score import (
    brier_parts,
    crps_normal,
    error_correlation,
    evaluate,
    fit_calibration,
    flatten,
    interval_score,
    kohavi_wolpert,
    nll_normal,
    pair_mean,
    pit,
    pit_uniformity,
    right,
    rmse,
)

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


def test_the_parts_of_a_forecast():
    p = Prediction(Normal(MEANS, STDS), W)
    mask = RNG.random(Y.shape) < 0.7
    found = evaluate(p, np.where(mask, Y, np.nan), levels=[0.5, 0.9])
    json.dumps(found, allow_nan=False)
    apart = found["diversity"]
    squares = np.array(found["members"]["rmse"]) ** 2
    assert apart["ambiguity"]["members"] == pytest.approx(squares.mean())
    assert apart["ambiguity"]["crowd"] == pytest.approx(found["overall"]["rmse"] ** 2)
    parts = apart["ambiguity"]
    assert parts["crowd"] == pytest.approx(parts["members"] - parts["diversity"])
    assert apart["variance"] == parts["diversity"]
    each = [pair_mean(error_correlation(MEANS[..., d], Y[..., d], mask[..., d])) for d in range(2)]
    assert apart["error_correlation"] == pytest.approx(np.mean(each))
    assert [row["error_correlation"] for row in apart["per_target"]] == pytest.approx(each)
    assert apart["per_target"][0]["ambiguity"]["crowd"] == pytest.approx(
        found["per_target"][0]["rmse"] ** 2
    )
    want = crps_normal(MEANS[2], STDS[2], Y)[mask].mean()
    assert found["members"]["crps"][2] == pytest.approx(want)
    assert found["members"]["weight"] == pytest.approx([1 / 3] * 3)


def test_reliability_is_what_was_promised_and_found():
    p = Prediction(Normal(MEANS[..., :1, :1], STDS[..., :1, :1]), W)
    y = Y[..., :1, :1]
    found = evaluate(p, y, levels=[0.5, 0.9])
    table, numbers = found["reliability"], found["calibration"]
    assert table["level"] == [0.5, 0.9]
    assert table["coverage"] == list(found["overall"]["coverage"].values())
    assert table["width"] == list(found["overall"]["width"].values())
    want = interval_score(*p.interval(0.9), 0.9, y, axis=None)
    assert table["interval_score"][1] == pytest.approx(want)
    gaps = np.abs(np.subtract(table["coverage"], table["level"]))
    assert numbers["error"] == pytest.approx(gaps.mean())
    test = pit_uniformity(pit(W, p.members, p.outputs.std, y))
    assert numbers["pit"]["of"] == "mixture"
    assert numbers["pit"]["distance"] == pytest.approx(test.distance)
    assert numbers["pit"]["p_value"] == pytest.approx(test.p_value)
    assert numbers["spread_skill"] == pytest.approx(
        np.sqrt(p.total.mean()) / found["overall"]["rmse"]
    )


def test_an_honest_crowd_is_found_honest():
    rng = np.random.default_rng(0)
    centre = rng.normal(size=(5000, 1))
    means = np.stack([centre, centre + 1.0])
    which = rng.random((5000, 1)) < 0.5
    y = np.where(which, means[0], means[1]) + 0.5 * rng.normal(size=centre.shape)
    p = Prediction(Normal(means, np.full(means.shape, 0.5)), np.full(2, 0.5))
    found = evaluate(p, y)["calibration"]
    assert found["error"] < 0.02
    assert found["spread_skill"] == pytest.approx(1.0, abs=0.03)
    assert found["pit"]["p_value"] > 0.01
    too_sure = Prediction(Normal(means, np.full(means.shape, 0.1)), np.full(2, 0.5))
    found = evaluate(too_sure, y)["calibration"]
    assert found["error"] > 0.05
    assert found["pit"]["p_value"] < 1e-6


def test_single_members_and_points_have_what_they_can():
    found = evaluate(Prediction(MEANS[:1], np.ones(1)), Y)
    assert found["diversity"] is None
    assert found["calibration"]["pit"] is None  # no spread at all
    assert evaluate(Prediction(MEANS, W), Y)["calibration"]["pit"]["of"] == "normal"
    assert evaluate(Prediction(MEANS, W), Y)["calibration"]["pit"]["p_value"] is None
    unseen = evaluate(Prediction(Normal(MEANS, STDS), W), np.full(Y.shape, np.nan))
    assert unseen["diversity"]["ambiguity"]["crowd"] is None
    json.dumps(unseen, allow_nan=False)


def test_the_parts_of_classes():
    logits = RNG.normal(size=(3, 80, 4))
    labels = RNG.integers(0, 4, 80)
    p = Prediction(Categorical(logits), np.array([0.5, 0.3, 0.2]))
    found = evaluate(p, labels)
    json.dumps(found, allow_nan=False)
    apart, numbers = found["diversity"], found["calibration"]
    assert apart["ambiguity"]["brier"]["crowd"] == pytest.approx(found["overall"]["brier"])
    for parts in apart["ambiguity"].values():
        assert parts["crowd"] == pytest.approx(parts["members"] - parts["diversity"])
    assert apart["kohavi_wolpert"] == kohavi_wolpert(right(p.members, labels))
    assert apart["kohavi_wolpert"] == pytest.approx(2 / 6 * apart["disagreement"])
    assert tuple(numbers["brier"].values()) == brier_parts(p.probabilities, labels)
    assert numbers["ece"] == found["overall"]["ece"]
    assert found["overall"]["entropy"] - found["overall"]["mutual_information"] == pytest.approx(
        p.aleatoric.mean()
    )
    assert set(found["reliability"]) == {"low", "high", "count", "confidence", "accuracy"}


def test_members_who_rule_everything_out_between_them_are_no_end():
    logits = np.array([[[0.0, -np.inf]], [[-np.inf, 0.0]]])
    found = evaluate(Prediction(Categorical(logits), np.full(2, 0.5)), [0])
    assert found["diversity"]["ambiguity"]["cross_entropy"] is None
    assert found["diversity"]["ambiguity"]["brier"]["diversity"] == pytest.approx(0.5)


def test_a_member_with_nan_is_refused_not_averaged_in():
    broken = MEANS.copy()
    broken[1, 7, 0, 0] = np.nan
    for outputs in (broken, Normal(broken, STDS), Categorical(broken[:, :, 0])):
        y = RNG.integers(0, 2, 40) if isinstance(outputs, Categorical) else Y
        with pytest.raises(ValueError, match="member 1 of 3 has no finite answer to row 7"):
            evaluate(Prediction(outputs, W), y)


def test_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="prediction's shape"):
        evaluate(Prediction(MEANS, W), Y[..., 0])


def test_flatten_keeps_every_number():
    assert flatten({"a": {"b": 1, "c": {"d": 2}}, "e": 3}) == {"a.b": 1, "a.c.d": 2, "e": 3}
