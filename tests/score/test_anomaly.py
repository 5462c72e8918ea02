"""Anomaly scores by hand and against scikit-learn; what the threshold promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from shoal.equations.outputs import Categorical, Normal
from shoal.equations.prediction import Prediction
from shoal.score import (
    anomaly_scores,
    anomaly_threshold,
    average_precision,
    best_f1,
    event_counts,
    nll_mixture,
    per_observation,
    precision_recall,
)

RNG = np.random.default_rng(0)
W = np.array([0.2, 0.3, 0.5])
MEANS, STDS = RNG.normal(size=(3, 6, 4, 2)), RNG.uniform(0.5, 1.5, (3, 6, 4, 2))
CROWD = Prediction(Normal(MEANS, STDS), W)
Y = RNG.normal(size=(6, 4, 2))
LABELS = RNG.random(300) < 0.1
SCORES = np.round(RNG.normal(size=300) + LABELS, 1)  # with ties


def test_a_residual_is_in_units_of_the_total_spread():
    mean = np.tensordot(W, MEANS, 1)
    total = np.tensordot(W, STDS**2 + (MEANS - mean) ** 2, 1)
    each = np.abs(Y - mean) / np.sqrt(total)
    np.testing.assert_allclose(anomaly_scores(CROWD, Y, combine=None), each)
    np.testing.assert_allclose(anomaly_scores(CROWD, Y), each.max(-1))
    np.testing.assert_allclose(anomaly_scores(CROWD, Y, combine="mean"), each.mean(-1))


def test_a_surprise_counts_for_less_where_members_disagree():
    sure = Prediction(np.array([[[1.0]], [[1.1]]]), np.full(2, 0.5))
    torn = Prediction(np.array([[[-1.0]], [[3.1]]]), np.full(2, 0.5))
    y = np.array([[2.0]])
    assert anomaly_scores(sure, y) > 10 * anomaly_scores(torn, y)


def test_nll_is_that_of_the_mixture():
    found = anomaly_scores(CROWD, Y, measure="nll", combine="mean")
    np.testing.assert_allclose(found, nll_mixture(W, MEANS, STDS, Y).mean(-1))


def test_what_was_not_observed_has_no_score():
    y, mask = Y.copy(), np.ones(Y.shape, bool)
    y[0, 0, 0], mask[0, 0, 1], y[1, 0, 1] = np.nan, False, np.nan
    scores = anomaly_scores(CROWD, y, mask)
    assert np.isnan(scores[0, 0])
    assert scores[1, 0] == anomaly_scores(CROWD, Y, combine=None)[1, 0, 0]  # of what is left
    assert np.isfinite(scores).sum() == scores.size - 1


def test_false_alarms_are_at_most_as_many_as_promised():
    """On average over thresholds, the share above is (n + 1 − ⌈(n + 1)·level⌉)/(n + 1)."""
    rng = np.random.default_rng(1)
    draws = np.abs(rng.normal(size=(4000, 60)))
    above = [draw[-1] > anomaly_threshold(draw[:-1], 0.95) for draw in draws]
    assert np.mean(above) == pytest.approx(0.05, abs=0.012)


def test_an_observation_is_scored_once():
    scores = np.array([[1.0, 2.0], [np.nan, 5.0], [4.0, np.nan]])
    times = np.array([[1, 2], [2, 3], [3, 4]])
    when, highest = per_observation(scores, times)
    assert when.tolist() == [1, 2, 3]  # nothing is known of 4
    assert highest.tolist() == [1.0, 2.0, 5.0]
    assert per_observation(scores, times, combine="mean")[1].tolist() == [1.0, 2.0, 4.5]


def test_nominal_times_count_for_the_nearest_observation():
    days = np.array(["2024-01-01", "2024-02-01", "2024-03-01"], "datetime64[D]")
    times = np.array(["2024-01-31", "2024-03-02", "2024-02-29"], "datetime64[D]")
    when, highest = per_observation(np.array([1.0, 2.0, 3.0]), times, days)
    assert when.tolist() == days[1:].tolist()
    assert highest.tolist() == [1.0, 3.0]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_average_precision_is_scikit_learns(seed, digits):
    rng = np.random.default_rng(seed)
    labels = np.r_[True, False, rng.random(40) < 0.2]
    scores = np.round(rng.normal(size=42) + labels, digits)
    wanted = metrics.average_precision_score(labels, scores)
    assert average_precision(scores, labels) == pytest.approx(wanted, rel=1e-12)


def test_the_curve_is_scikit_learns():
    precision, recall, threshold = metrics.precision_recall_curve(LABELS, SCORES)
    curve = precision_recall(SCORES, LABELS)
    np.testing.assert_allclose(curve.precision[::-1], precision[:-1])
    np.testing.assert_allclose(curve.recall[::-1], recall[:-1])
    np.testing.assert_allclose(curve.threshold[::-1], threshold)


def test_the_best_f1_is_the_best_of_all_thresholds():
    best = best_f1(SCORES, LABELS)
    found = {t: metrics.f1_score(LABELS, t <= SCORES) for t in np.unique(SCORES)}
    assert best.f1 == pytest.approx(max(found.values()))
    assert found[best.threshold] == pytest.approx(best.f1)


def test_scores_that_are_missing_are_left_out():
    scores = np.r_[SCORES, np.nan]
    labels = np.r_[LABELS, True]
    assert average_precision(scores, labels) == average_precision(SCORES, LABELS)


def test_a_hit_finds_its_event_and_a_false_alarm_stays_a_point():
    labels = np.array([1, 1, 0, 0, 1, 0, 1])
    assert event_counts([0, 1, 1, 1, 0, 0, 1], labels) == (2, 3, 2, 3)
    assert event_counts(np.zeros(7, bool), labels) == (0, 3, 0, 3)


POINTS = Prediction(MEANS, W)
ALONE = Prediction(MEANS[:1], np.ones(1))
CLASSES = Prediction(Categorical(MEANS[:, :, 0]), W)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: anomaly_scores(CLASSES, Y), "this prediction is of classes"),
        (lambda: anomaly_scores(CROWD, Y[:3]), r"\(6, 4, 2\), got \(3, 4, 2\)"),
        (lambda: anomaly_scores(POINTS, Y, measure="nll"), "point members have no likelihood"),
        (lambda: anomaly_scores(ALONE, Y), "spread is 0 somewhere"),
        (lambda: anomaly_scores(CROWD, Y, measure="z"), '"residual" or "nll", got \'z\''),
        (lambda: anomaly_scores(CROWD, Y, combine="sum"), '"max", "mean" or None'),
        (lambda: anomaly_threshold(SCORES, 1.0), "between 0 and 1"),
        (lambda: anomaly_threshold(SCORES, 0), "between 0 and 1"),
        (lambda: anomaly_threshold(SCORES[:98]), "needs 99 scores, got 98"),
        (lambda: anomaly_threshold([np.nan, np.nan]), "all 2 are NaN"),
        (lambda: per_observation(SCORES, SCORES[:9]), r"shape of `scores`, \(300,\), got \(9,\)"),
        (lambda: average_precision(SCORES, LABELS[:9]), r"got \(300,\) and \(9,\)"),
        (lambda: average_precision(SCORES * np.nan, LABELS), "all 300 are NaN"),
        (lambda: average_precision(SCORES, LABELS * 0), "300 rows with a score are all ordinary"),
        (lambda: best_f1(SCORES, LABELS | True), "are all anomalies"),
        (lambda: best_f1(SCORES, SCORES), "must be True and False"),
        (lambda: event_counts(LABELS[:9], LABELS), r"got \(9,\) and \(300,\)"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
