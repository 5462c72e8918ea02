"""Windows: what they hold, and that no block ever sees the next one's answers."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.data import DataError, Schema, prepare, windows_for_evaluation, windows_for_prediction

NAMES = ("train", "valid", "calibration", "test")


def ramp(n=60, **more):
    """A series whose value is its time."""
    return {"t": np.arange(float(n)), "y": np.arange(float(n)), **more}


def made(table, **options):
    defaults = {"time": "t", "features": "y", "targets": "y", "window": 4, "horizon": 3}
    return prepare(table, **{**defaults, **options})


def test_a_window_is_followed_by_its_targets():
    train = made(ramp()).train
    np.testing.assert_array_equal(train.x[0, :, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(train.y[0, :, 0], [4, 5, 6])
    np.testing.assert_array_equal(train.target_times[0], [4, 5, 6])
    np.testing.assert_array_equal(train.timespans[0], [0, 1, 1, 1])
    np.testing.assert_array_equal(train.timespans[1], [1, 1, 1, 1])
    assert train.mask is None
    assert train.y_mask is None
    assert train.origin[0] == 3


def test_a_sparse_window_reaches_further_back():
    p = made(ramp(), window_every=3)
    np.testing.assert_array_equal(p.train.x[0, :, 0], [0, 3, 6, 9])
    np.testing.assert_array_equal(p.train.x[1, :, 0], [1, 4, 7, 10])
    np.testing.assert_array_equal(p.train.timespans[:2], [[0, 3, 3, 3], [1, 3, 3, 3]])
    np.testing.assert_array_equal(p.train.y[0, :, 0], [10, 11, 12])
    later = windows_for_prediction(ramp(10), p.schema)
    np.testing.assert_array_equal(later.x[0, :, 0], [0, 3, 6, 9])
    with pytest.raises(DataError, match="a window of 10 and"):
        made(ramp(12), window_every=3)
    with pytest.raises(DataError, match="9 observations, a window needs 10"):
        windows_for_prediction(ramp(9), p.schema)


def test_sparse_windows_may_be_padded():
    train = made(ramp(), window_every=2, min_window=2).train
    np.testing.assert_array_equal(train.mask[0], [True, True, False, False])
    np.testing.assert_array_equal(train.x[0, :2, 0], [0, 2])
    np.testing.assert_array_equal(train.x[3, :3, 0], [1, 3, 5])
    np.testing.assert_array_equal(train.timespans[3], [1, 2, 2, 0])


def test_inputs_may_be_read_as_changes():
    p = made(ramp(), input_transform="change", target_transform="change")
    np.testing.assert_array_equal(p.train.x[5, :, 0], [5, 6, 7, 8])
    encoded = p.scaling.encode_sequences(p.train).x
    np.testing.assert_allclose(encoded, np.broadcast_to(encoded[:1], encoded.shape), atol=1e-6)
    with pytest.raises(DataError, match="input_transform"):
        made(ramp(), input_transform="difference")


def test_listed_horizons_are_the_steps_ahead():
    train = made(ramp(), horizon=[2, 5]).train
    np.testing.assert_array_equal(train.y[0, :, 0], [5, 8])


def test_rows_without_features_become_elapsed_time():
    y = np.arange(60.0)
    y[[2, 3, 20]] = np.nan
    p = made(ramp(y=y))
    np.testing.assert_array_equal(p.train.x[0, :, 0], [0, 1, 4, 5])
    np.testing.assert_array_equal(p.train.timespans[0], [0, 1, 3, 1])
    assert "3 rows" in p.notes[0]
    assert not np.isnan(p.train.x).any()
    gone = p.train.target_times == 20
    assert gone.any()
    assert not p.train.y_mask[gone].any()
    assert np.isnan(p.train.y[gone]).all()


def test_partly_missing_rows_stay_with_their_gaps():
    z = np.arange(60.0)
    z[5] = np.nan
    p = made(ramp(z=z), features=["y", "z"])
    assert np.isnan(p.train.x[..., 1]).sum() == 4
    assert p.scaling.sparse == (1,)
    assert p.notes == ("6 windows reach over a split, or lie off the fixed origins",)


def test_targets_lie_within_half_a_step():
    t = np.arange(60.0)
    t[10] += 0.4
    t[11] += 0.6
    train = made({"t": t, "y": t}, window=2, horizon=1, step=1.0).train
    by_time = dict(zip(train.target_times[:, 0], train.y[:, 0, 0], strict=True))
    assert by_time[10.0] == 10.4
    assert 11.0 not in by_time  # nothing within half a step of it: no window
    assert by_time[13.0] == 13.0


def test_targets_that_are_not_features():
    z = np.arange(60.0) * 10
    z[7] = np.nan
    train = made(ramp(z=z), targets=["z", "y"]).train
    np.testing.assert_array_equal(train.y[0], [[40, 4], [50, 5], [60, 6]])
    assert (~train.y_mask).sum() == 3


def test_shorter_windows_at_the_start_only_when_asked():
    train = made(ramp(), min_window=2).train
    np.testing.assert_array_equal(train.mask[0], [True, True, False, False])
    np.testing.assert_array_equal(train.x[0, :2, 0], [0, 1])
    assert np.isnan(train.x[0, 2:]).all()
    assert train.origin[0] == 1
    assert made(ramp()).train.origin[0] == 3


def test_stride_takes_every_so_many_origins():
    origins = made(ramp(), stride=3).train.origin
    assert len(origins) > 5
    assert set(np.diff(origins)) == {3.0}


def test_series_are_not_mixed():
    t = np.tile(np.arange(40.0), 2)
    table = {"t": t, "y": np.concatenate([t[:40], t[:40] + 1000]), "s": ["a"] * 40 + ["b"] * 40}
    train = made(table, series="s").train
    for name, low, high in [("a", 0, 999), ("b", 1000, 2000)]:
        rows = train.series == name
        assert rows.any()
        assert ((train.x[rows] >= low) & (train.x[rows] <= high)).all()
        assert ((train.y[rows] >= low) & (train.y[rows] <= high)).all()


def test_dates_count_in_the_natural_unit_and_turn_with_the_calendar():
    days = np.arange("2001-01-01", "2002-12-31", 7, dtype="datetime64[D]")
    table = {"t": [str(day) for day in days], "y": np.arange(float(len(days)))}
    p = made(table, calendar=["year"], harmonics=2)
    assert (p.schema.time_unit, p.schema.step) == ("week", 1.0)
    assert p.schema.feature_names[1:] == ("year_sin1", "year_cos1", "year_sin2", "year_cos2")
    np.testing.assert_array_equal(p.schema.dates(p.train.origin)[:1], days[3:4])
    assert p.scaling.std[1:] == (1.0,) * 4
    seconds = (days[:4] - np.datetime64("1970-01-01")) / np.timedelta64(1, "s")
    expected = np.sin(2 * np.pi * seconds / (365.2425 * 86400))
    np.testing.assert_allclose(p.train.x[0, :, 1], expected, atol=1e-12)


def test_months_keep_step_on_average():
    months = np.arange("1990-01", "2010-01", dtype="datetime64[M]")
    table = {"t": [f"{m}-01" for m in months], "y": np.arange(240.0)}
    p = made(table, horizon=36, time_unit="day", split={"valid": 0.3})
    assert 30.3 < p.schema.step < 30.6
    assert p.train.y_mask is None
    np.testing.assert_array_equal(p.train.y[0, :, 0], np.arange(4, 40))


def test_schema_is_json_and_reads_new_data():
    p = made(ramp(), target_transform="change")
    schema = Schema.from_dict(json.loads(json.dumps(p.schema.to_dict())))
    assert schema == p.schema
    new = {"t": [100.0, 101.0, 103.0, 104.0, 105.0], "y": [1.0, 2.0, 3.0, 4.0, 5.0]}
    found = windows_for_prediction(new, schema)
    np.testing.assert_array_equal(found.x[0, :, 0], [2, 3, 4, 5])
    np.testing.assert_array_equal(found.timespans[0], [1, 2, 1, 1])
    np.testing.assert_array_equal(found.target_times[0], [106, 107, 108])
    assert found.y is None
    assert len(windows_for_prediction(new, schema, every_origin=True)) == 2


def test_evaluation_gives_what_preparing_gave():
    p = made(ramp(), calendar=())
    again = windows_for_evaluation(ramp(), p.schema)
    np.testing.assert_array_equal(again.x[: len(p.train)], p.train.x)
    np.testing.assert_array_equal(again.y[: len(p.train)], p.train.y)


def test_prediction_needs_no_target_column():
    p = made(ramp(z=np.arange(60.0)), targets="z")
    assert windows_for_prediction({"t": np.arange(9.0), "y": np.ones(9)}, p.schema).x.shape[1] == 4


def test_prediction_refuses_a_change_from_nothing():
    p = made(ramp(z=np.arange(60.0)), features=["y", "z"], target_transform="change")
    table = {"t": np.arange(5.0), "y": [1.0] + [np.nan] * 4, "z": np.ones(5)}
    with pytest.raises(DataError, match="column 'y': series '' has no value in its window"):
        windows_for_prediction(table, p.schema)


SPLITS = st.fixed_dictionaries(
    {}, optional={name: st.floats(0.1, 0.25) for name in NAMES[1:]}
).filter(bool)


@settings(max_examples=60, deadline=None)
@given(
    split=SPLITS,
    seed=st.integers(0, 999),
    window=st.integers(1, 6),
    horizon=st.one_of(st.integers(1, 6), st.just([2, 5])),
    ragged=st.booleans(),
    min_window=st.booleans(),
)
def test_no_window_leaks(split, seed, window, horizon, ragged, min_window):
    """The value of a row is its time, so that every number tells where it was taken from."""
    random = np.random.default_rng(seed)
    gaps = random.choice([0.3, 0.7, 1.0, 1.0, 1.0, 4.0], 150) if ragged else np.ones(150)
    t = np.cumsum(gaps)
    y = np.where(random.random(150) < 0.1, np.nan, t)
    options = {"window": window, "horizon": horizon, "split": split}
    try:
        p = made({"t": t, "y": y}, min_window=1 if min_window else None, **options)
    except DataError as error:
        assert "leaves no window" in str(error)  # noqa: PT017
        return
    before = -np.inf
    for name in NAMES:
        block = getattr(p, name)
        assert (block is not None) == (name == "train" or name in split)
        if block is None:
            continue
        known = np.ones(block.y.shape, bool) if block.y_mask is None else block.y_mask
        assert (block.y[known] > before).all()
        assert np.nanmax(block.x, axis=(1, 2)) == pytest.approx(block.origin)
        assert (np.where(known, block.y, np.inf).min((1, 2)) > block.origin).all()
        off = np.abs(block.y - block.target_times[..., None])[known]
        assert (off <= p.schema.step / 2 + 1e-9).all()
        before = max(block.y[known].max(), block.target_times.max())
    assert before <= t[-1] + p.schema.step / 2 + 1e-9


def test_windows_without_a_value_to_count_a_change_from_are_left_out():
    y = np.sin(np.arange(80.0))
    y[20:30] = y[69:75] = np.nan
    table = {"t": np.arange(80.0), "y": y, "z": np.cos(np.arange(80.0))}
    p = made(table, features=["y", "z"], target_transform="change")
    for name in NAMES:
        block = getattr(p, name)
        assert (~np.isnan(block.x[..., 0])).any(1).all(), name
    assert any("to count its change from" in note for note in p.notes)
    for windows in (
        windows_for_evaluation(table, p.schema),
        windows_for_prediction(table, p.schema, every_origin=True),
    ):
        assert len(windows) > 40
        assert (~np.isnan(windows.x[..., 0])).any(1).all()


def test_arrays_without_a_value_to_count_a_change_from_are_refused():
    x = np.random.default_rng(0).normal(size=(20, 4, 1))
    x[7] = np.nan
    x = np.concatenate([x, np.ones((20, 4, 1))], -1)
    arrays = {"x": x, "y": np.arange(20.0)[:, None, None]}
    names = {"features": ["a", "b"], "targets": ["a"], "target_transform": "change"}
    with pytest.raises(DataError, match=r"`x\[7\]` holds no value of 'a' to count its change from"):
        prepare(arrays, **names)
