"""Splits by dates, by fixed origins, by series."""

import datetime

import numpy as np
import pytest

from shoal.data import DataError, prepare
from shoal.data.splits import split_whole

DAYS = np.arange("2000-01-01", "2001-01-01", dtype="datetime64[D]")
TABLE = {"t": [str(day) for day in DAYS], "y": np.sin(np.arange(366.0))}


def made(split, **options):
    return prepare(
        TABLE, time="t", features="y", targets="y", window=5, horizon=3, split=split, **options
    )


def days(prepared, times):
    return [str(day)[:10] for day in prepared.schema.dates(times)]


def test_dates_bound_the_blocks():
    dates = {"valid_from": "2000-06-01", "calibration_from": datetime.date(2000, 8, 1)}
    p = made({**dates, "test_from": "2000-10-01"})
    assert days(p, p.train.target_times[-1])[-1] == "2000-05-31"
    assert days(p, p.valid.target_times[0])[0] == "2000-06-01"
    assert days(p, p.valid.target_times[-1])[-1] == "2000-07-31"
    assert days(p, p.calibration.target_times[0])[0] == "2000-08-01"
    assert days(p, p.test.target_times[0])[0] == "2000-10-01"
    assert days(p, p.test.target_times[-1])[-1] == "2000-12-31"


def test_blocks_that_are_not_asked_for_are_none():
    p = made({"test_from": "2000-10-01"})
    assert p.valid is None
    assert p.calibration is None
    assert made({"valid": 0.2, "test": 0}).test is None


def test_origins_a_fixed_number_of_steps_apart():
    p = made({"test_from": "2000-10-01", "test_every": 10})
    assert days(p, p.test.origin)[:3] == ["2000-09-30", "2000-10-10", "2000-10-20"]
    p = made({"test": 0.2, "test_every": 10, "test_origins": 2})
    assert np.diff(p.test.origin).tolist() == [10.0]
    p = made({"test_from": "2000-10-01", "test_origins": 4})
    assert days(p, p.test.origin)[0] == "2000-09-30"
    assert days(p, p.test.origin)[3] == "2000-12-28"


def test_listed_origins_begin_the_test_block():
    p = made({"test_origins": ["2000-11-05", datetime.date(2000, 10, 5)]})
    assert days(p, p.test.origin) == ["2000-10-05", "2000-11-05"]
    assert days(p, p.train.target_times[-1])[-1] == "2000-10-04"


def test_origin_off_the_rows_takes_the_last_observation_before_it():
    p = made({"test_origins": [datetime.datetime(2000, 11, 5, 13, 30)]})
    assert days(p, p.test.origin) == ["2000-11-05"]


def test_listed_horizons_keep_the_whole_period_inside():
    p = prepare(
        TABLE,
        time="t",
        features="y",
        targets="y",
        window=5,
        horizon=[10, 20],
        split={"test_from": "2000-10-01"},
    )
    assert days(p, p.test.origin)[0] == "2000-09-30"


def test_whole_series_split_at_random_by_seed_or_in_time():
    origin = np.arange(20.0)[::-1]
    shares = {"valid": 0.2, "calibration": 0.1, "test": 0.2}
    one, same, other = (split_whole(origin, {**shares, "seed": s}, by="series") for s in (0, 0, 1))
    assert sorted(np.concatenate(list(one.values()))) == list(range(20))
    assert [len(one[name]) for name in ("train", "valid", "calibration", "test")] == [10, 4, 2, 4]
    assert all((one[name] == same[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in one)
    timed = split_whole(origin, {**shares, "by": "time"}, by="series")
    assert timed["test"].tolist() == [0, 1, 2, 3]
    assert timed["train"].tolist() == list(range(10, 20))


def test_an_answer_observed_before_its_step_counts_where_it_was_observed():
    t = np.array([*range(10), 9.6, *range(11, 30)], float)
    split = {"valid_from": 9.8}
    p = prepare(
        {"t": t, "y": t}, time="t", features="y", targets="y", window=2, step=1.0, split=split
    )
    assert p.train.y.max() == 9.0
    assert p.valid.y.min() == 11.0
    assert p.valid.origin.min() > 9.0


def test_shares_are_of_the_observations():
    p = made({"valid": 0.15, "calibration": 0.1, "test": 0.15})
    assert abs(len(p.valid) - 0.15 * 366) < 4
    assert abs(len(p.calibration) - 0.1 * 366) < 4
    assert abs(len(p.test) - 0.15 * 366) < 4


def test_an_origin_without_a_window_is_named():
    with pytest.raises(DataError, match=r"test_origins`: no window at 2000-12-30"):
        made({"test_origins": ["2000-11-05", "2000-12-30"]})
