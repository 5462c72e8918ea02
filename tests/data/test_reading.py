"""Reading: CSV, Parquet, NPZ, frames and mappings give the same sequences."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shoal.data import content_hash, prepare, read_table, windows_for_evaluation
from shoal.data.prepared import Prepared

OPTIONS = {"time": "date", "features": ["a", "b"], "targets": "b", "window": 3}


@pytest.fixture
def frame():
    n = 30
    frame = pd.DataFrame({"date": pd.date_range("2020-01-01", periods=n, freq="h")})
    frame["a"] = np.sin(np.arange(n))
    frame["b"] = np.arange(n) ** 2.0
    frame.loc[[4, 9], "a"] = np.nan
    return frame


def same(one: Prepared, other: Prepared):
    assert one.schema == other.schema
    assert one.scaling == other.scaling
    for name in ("train", "valid", "calibration", "test"):
        for key, value in vars(getattr(one, name)).items():
            np.testing.assert_array_equal(value, getattr(getattr(other, name), key))


def test_all_formats_give_the_same(frame, tmp_path):
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "b.csv", index=False, sep=";")
    frame.to_csv(tmp_path / "c.tsv", index=False, sep="\t", na_rep="NA")
    frame.to_csv(tmp_path / "d.csv", index=False, encoding="utf-8-sig", lineterminator="\r\n")
    frame.to_parquet(tmp_path / "e.parquet")
    reference = prepare(frame, **OPTIONS)
    assert reference.schema.time_unit == "hour"
    assert np.isnan(reference.train.x).any()
    for path in sorted(tmp_path.iterdir()):
        same(prepare(path, **OPTIONS), reference)
    same(prepare(frame.set_index("date"), **OPTIONS), reference)
    same(prepare({name: frame[name].to_numpy() for name in frame}, **OPTIONS), reference)


def test_offsets_are_instants_and_may_differ(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("t,y\n2020-10-25T00:30:00+02:00,1\n2020-10-25 00:00:00Z,2\n")
    times = read_table(path).times("t")
    assert (np.diff(times) == np.timedelta64(90, "m")).all()
    assert times[0] == np.datetime64("2020-10-24T22:30")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["20200131", "20200201"], np.array(["2020-01-31", "2020-02-01"], "datetime64[ns]")),
        (["1.5", "2.5"], np.array([1.5, 2.5])),
        (["2020-01", "2020-02"], np.array(["2020-01-01", "2020-02-01"], "datetime64[ns]")),
        (["2020-01-01 05:06:07.25"], np.array(["2020-01-01T05:06:07.250"], "datetime64[ns]")),
    ],
)
def test_times(cells, expected):
    found = read_table({"t": cells}).times("t")
    assert found.dtype.kind == expected.dtype.kind
    np.testing.assert_array_equal(found, expected)


def test_time_format():
    found = read_table({"t": ["31.01.2020", "01.02.2020"]}).times("t", "%d.%m.%Y")
    assert found[1] - found[0] == np.timedelta64(1, "D")


def test_blank_lines_and_quotes_keep_line_numbers(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('t,name,y\n1,"two\nlines",3\n\n2,b,4\n')
    table = read_table(path)
    assert [table.place(i) for i in range(2)] == ["line 2", "line 5"]


def test_missing_cells(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("t,y\n1,\n2,NA\n3,NaN\n4,null\n5, 6 \n")
    np.testing.assert_array_equal(read_table(path).numbers("y"), [np.nan] * 4 + [6])


def test_npz_to_regress_with_masks(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=(20, 6, 2))
    x[0, 2] = np.nan  # no observation at all: its time passes to the next step
    mask = np.ones((20, 6), bool)
    mask[1, 4:] = False
    timespans = np.full((20, 6), 2.0)
    np.savez(tmp_path / "a.npz", x=x, y=x[:, 0, 0], timespans=timespans, mask=mask)
    p = prepare(tmp_path / "a.npz", task="regression", split={"valid": 0.2, "by": "time"})
    assert p.schema.arrays
    assert p.schema.feature_names == ("x0", "x1")
    assert p.train.y.shape == (16, 1)
    np.testing.assert_array_equal(p.train.timespans[0], [2, 2, 0, 4, 2, 2])
    np.testing.assert_array_equal(p.train.mask[0], [1, 1, 0, 1, 1, 1])
    assert not p.train.mask[1, 4:].any()
    again = windows_for_evaluation(tmp_path / "a.npz", p.schema)
    np.testing.assert_array_equal(again.y[:16], p.train.y)


def test_arrays_to_classify_and_to_forecast():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(20, 6, 2)), np.arange(20) % 2
    p = prepare({"x": x, "y": y}, task="classification", split={"valid": 0.25})
    assert p.schema.classes == ("0", "1")
    assert p.schema.output_shape == (2,)
    assert set(p.train.y) == {0, 1}
    assert p.scaling.encode_sequences(p.train).y.dtype.kind == "i"
    words = prepare({"x": x, "y": np.array(["no", "yes"])[y]}, task="classification")
    assert words.schema.classes == ("no", "yes")
    answers = random.normal(size=(20, 3, 1))
    names = {"features": ["a", "b"], "targets": ["b"], "target_transform": "change"}
    p = prepare({"x": x, "y": answers}, task="forecast", **names)
    assert p.schema.output_shape == (3, 1)
    assert p.scaling.change_of == (1,)


def series_table():
    lengths = {"a": 3, "b": 5, "c": 4, "d": 2}
    rows = [(s, t, t * 0.5) for s, n in lengths.items() for t in range(n)]
    names, times, values = zip(*rows, strict=True)
    table = {"s": list(names), "t": np.array(times, float), "v": np.array(values)}
    table["label"] = ["up" if s in "ac" else "down" for s in names]
    table["level"] = np.array([ord(s) - 97.0 for s in names])
    return table


def test_whole_series_are_padded_at_their_end():
    options = {"time": "t", "features": "v", "series": "s", "split": {}}
    p = prepare(series_table(), task="classification", targets="label", **options)
    assert p.schema.classes == ("down", "up")
    np.testing.assert_array_equal(p.train.y, [1, 0, 1, 0])
    np.testing.assert_array_equal(p.train.mask.sum(1), [3, 5, 4, 2])
    np.testing.assert_array_equal(p.train.timespans[0], [0, 1, 1, 0, 0])
    assert np.isnan(p.train.x[0, 3:]).all()
    p = prepare(series_table(), task="regression", targets="level", window=2, **options)
    np.testing.assert_array_equal(p.train.y[:, 0], [0, 1, 2, 3])
    assert p.train.x.shape == (4, 2, 1)
    assert p.train.mask is None


def test_label_of_the_last_row():
    table = series_table()
    table["level"] = np.arange(14.0)
    options = {"time": "t", "features": "v", "series": "s", "split": {}, "targets": "level"}
    p = prepare(table, task="regression", label="last", **options)
    np.testing.assert_array_equal(p.train.y[:, 0], [2, 7, 11, 13])


def test_content_hash(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"t,y\n1,2\n")
    assert content_hash(tmp_path / "a.csv") == hashlib.sha256(b"t,y\n1,2\n").hexdigest()


def test_the_co2_example_keeps_its_gaps():
    path = Path(__file__).parents[2] / "examples/co2/co2_weekly.csv"
    table = read_table(path)
    assert len(table) == 2284
    assert np.isnan(table.numbers("co2")).sum() == 59
    p = prepare(
        path,
        time="date",
        features="co2",
        targets="co2",
        window=52,
        horizon=[13, 26, 52],
        calendar=["year"],
        target_transform="change",
        split={"valid": 0.1, "calibration": 0.1, "test_every": 26, "test": 0.2},
    )
    assert (p.schema.time_unit, p.schema.step) == ("week", 1.0)
    assert p.scaling.time.max == 19.0
    assert not np.isnan(p.train.x).any()
