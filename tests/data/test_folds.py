"""Folds: cut as asked, and refused where they leak."""

from types import SimpleNamespace

import numpy as np
import pytest

from shoal.data import prepare
from shoal.data.folds import make_folds, spans_of
from shoal.data.sequences import Sequences

ROWS = SimpleNamespace(x=np.zeros((10, 2)), y=np.zeros(10))


@pytest.fixture(scope="module")
def windows():
    """Windows of 4 observations that forecast 3 steps, one after every observation."""
    t = np.arange(80.0)
    return prepare(
        {"t": t, "y": np.sin(t)},
        time="t",
        features="y",
        targets="y",
        window=4,
        horizon=3,
        split={"valid": 0.2},
    ).train


def test_shuffled_folds_ask_every_row_once():
    folds = make_folds(ROWS, 3, seed=1)
    asked = np.concatenate([fold.test for fold in folds])
    np.testing.assert_array_equal(np.sort(asked), np.arange(10))
    for fold in folds:
        assert set(fold.train) == set(range(10)) - set(fold.test)
    assert not np.array_equal(folds[0].test, make_folds(ROWS, 3, seed=2)[0].test)


def test_folds_in_time_train_on_what_came_before():
    for gap in (0, 2):
        for fold in make_folds(ROWS, 4, order="time", gap=gap):
            assert fold.train.max() == fold.test.min() - max(gap, 1)
    with pytest.raises(ValueError, match="no rows to train on"):
        make_folds(ROWS, 4, order="time", gap=5)


def test_forecasts_are_folded_in_time_without_overlap(windows):
    spans = spans_of(windows)
    assert spans.begin[0] == 0
    assert spans.origin[0] == 3
    assert spans.end[0] == 6
    for gap in (0.0, 4.0):
        folds = make_folds(windows, 3, gap=gap)
        for fold in folds:
            assert spans.end[fold.train].max() == spans.origin[fold.test].min() - gap
        # windows that would reach into what is asked about are left out of the fold
        assert len(folds[0].train) < folds[0].test.min()


def test_several_series_are_cut_at_one_moment():
    t = np.concatenate([np.arange(40.0), np.arange(20.0, 60.0)])
    table = {"t": t, "y": np.sin(t), "s": np.repeat(["a", "b"], 40)}
    names = {"time": "t", "features": "y", "targets": "y", "series": "s"}
    rows = prepare(table, **names, window=3, split={"valid": 0.2}).train
    spans = spans_of(rows)
    for fold in make_folds(rows, 3):
        assert spans.end[fold.train].max() <= spans.origin[fold.test].min()


def test_scikit_learn_s_splitters_and_pairs_are_taken():
    from sklearn.model_selection import KFold, TimeSeriesSplit

    ours = make_folds(ROWS, KFold(4))
    theirs = list(KFold(4).split(ROWS.x))
    assert all((a.test == b[1]).all() for a, b in zip(ours, theirs, strict=True))
    assert len(make_folds(ROWS, TimeSeriesSplit(3), order="time")) == 3
    mask = np.arange(10) < 5
    assert make_folds(ROWS, [(mask, ~mask)])[0].test.tolist() == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("folds", "options", "message"),
    [
        ([([0, 1, 2], [2, 3])], {}, r"fold 0 is asked about rows it was trained on \(2\)"),
        ([([0, 1], [3]), ([2], [3])], {}, "rows 3 are asked about by several folds"),
        ([([0], [10])], {}, "names rows outside of 0 to 9"),
        ([([0], [])], {}, "fold 0 has no rows to ask about"),
        ([], {}, "at least one pair"),
        ([(np.ones(3, bool), np.ones(3, bool))], {}, r"must be \(10,\)"),
        ([([5, 6], [0, 1])], {"order": "time"}, "asked from 0 on, and trains on rows that reach"),
        ([([0, 1], [2, 3])], {"order": "time", "gap": 3}, r"reach to 1 \(gap 3\)"),
        (1, {}, "`folds` must be at least 2, got 1"),
        (10, {}, "10 folds need more than 10 rows"),
        (3, {"order": "backwards"}, "must be one of shuffled, time"),
        (3, {"gap": -1.0}, "`gap` must be at least 0"),
    ],
)
def test_folds_that_leak_or_cannot_be_are_refused(folds, options, message):
    with pytest.raises(ValueError, match=message):
        make_folds(ROWS, folds, **options)


def test_shuffled_windows_that_overlap_are_refused(windows):
    with pytest.raises(ValueError, match="hold moments that others are asked about"):
        make_folds(windows, 3, order="shuffled")
    with pytest.raises(ValueError, match="hold moments"):  # a fold that peeks one step ahead
        make_folds(windows, [(np.arange(20), np.arange(20, 30))])
    apart = windows[np.arange(0, len(windows), 7)]  # each begins after the one before it ended
    assert len(make_folds(apart, 3, order="shuffled")) == 3


def test_masked_observations_begin_nothing():
    rows = Sequences(
        x=np.zeros((2, 3, 1)),
        timespans=np.array([[0.0, 2.0, 2.0], [0.0, 5.0, 9.0]]),
        mask=np.array([[True, True, True], [True, True, False]]),
        y=np.zeros(2),
        origin=np.array([10.0, 10.0]),
    )
    assert spans_of(rows).begin.tolist() == [6.0, 5.0]
