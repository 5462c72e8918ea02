"""Every refusal names the place, what was found there, and a remedy."""

import re

import numpy as np
import pandas as pd
import pytest

from shoal.data import DataError, prepare, read_table, windows_for_evaluation
from shoal.data.predict import windows_for_prediction

HEAD = "date,co2,site\n"
ROWS = [f"2000-01-{d:02d},{300 + d % 7},a\n" for d in range(1, 32)]
GOOD = {"time": "date", "features": ["co2"], "targets": ["co2"], "window": 3, "horizon": 2}


def text(**changed):
    """The good file with lines replaced: line_5='...' replaces line 5 of the file."""
    lines = [HEAD, *ROWS]
    for name, line in changed.items():
        lines[int(name.removeprefix("line_")) - 1] = line + "\n"
    return "".join(lines)


# name: (the file's text, changes to GOOD, what the message says)
TEXTS = {
    "unreadable date": (
        text(line_5="04/01/2000,3,a"),
        {},
        r"data\.csv, line 5, column 'date': '04/01/2000' is not a date .*YYYY-MM-DD",
    ),
    "date that does not exist": (
        text(line_9="2000-02-30,3,a"),
        {},
        r"line 9, column 'date': '2000-02-30' is not a date that exists; correct",
    ),
    "date too far": (text(line_9="3000-02-01,3,a"), {}, r"line 9.*between 1678 and 2262"),
    "empty date": (text(line_9=",3,a"), {}, r"line 9, column 'date': the time is empty; .*drop"),
    "number among dates": (text(line_9="7,3,a"), {}, r"line 9.*'7' is not a date"),
    "date among numbers": (
        "date,co2\n1,2\n2000-01-01,3\n",
        {},
        r"line 3, column 'date': '2000-01-01' is not a number, as the first",
    ),
    "infinite time": ("date,co2\n1,2\ninf,3\n", {}, r"line 3, column 'date': the time is inf"),
    "format not followed": (
        text(),
        {"time_format": "%d.%m.%Y"},
        r"line 2, column 'date': '2000-01-01' does not follow the time_format '%d\.%m\.%Y'",
    ),
    "mixed time zones": (
        text(line_4="2000-01-03T00:00Z,3,a"),
        {},
        r"line 4.* names a time zone, but not the first date does; write all dates alike",
    ),
    "duplicate time": (
        text(line_4="2000-01-02,3,a"),
        {},
        r"line 4, column 'date': 2000-01-02 stands already in line 3; keep one .*`series`",
    ),
    "decreasing time": (
        text(line_4="1999-01-02,3,a"),
        {},
        r"line 4, column 'date': 1999-01-02 is before 2000-01-02 in line 3; sort",
    ),
    "duplicate within a series": (
        text(line_4="2000-01-02,3,a"),
        {"series": "site"},
        r"line 4.*stands already in line 3 of series 'a'",
    ),
    "series without a name": (
        text(line_4="2000-01-03,3,"),
        {"series": "site"},
        r"line 4, column 'site': the series has no name",
    ),
    "infinite value": (
        text(line_7="2000-01-06,-inf,a"),
        {},
        r"line 7, column 'co2': -inf is infinite; .*leave the cell empty",
    ),
    "word for a number": (
        text(line_7="2000-01-06,abc,a"),
        {},
        r"line 7, column 'co2': 'abc' is not a number; write a number, or leave",
    ),
    "decimal comma": (
        text(line_7='2000-01-06,"3,5",a'),
        {},
        r"line 7, column 'co2': '3,5' is not a number; write a point",
    ),
    "text column as a feature": (
        text(),
        {"features": ["co2", "site"]},
        r"line 2, column 'site': 'a' is not a number",
    ),
    "constant target": (
        HEAD + "".join(f"2000-01-{d:02d},7,a\n" for d in range(1, 32)),
        {},
        r"data\.csv, column 'co2': the target is constant \(7\) in the training data; choose",
    ),
    "target without a value": (
        "date,co2,y\n" + "".join(f"2000-01-{d:02d},7,\n" for d in range(1, 32)),
        {"targets": ["y"]},
        r"column 'y': the target has no value at all; check",
    ),
    "target constant in training alone": (
        HEAD + "".join(f"2000-01-{d:02d},{max(d, 25)},a\n" for d in range(1, 32)),
        {"split": {"valid_from": "2000-01-20"}},
        r"constant \(25\) in the training data",
    ),
    "unknown feature": (
        text(),
        {"features": ["co22"]},
        r"data\.csv: `features` names 'co22', which is no column; did you mean 'co2'\?",
    ),
    "unknown target": (text(), {"targets": "CO2"}, r"`targets` names 'CO2'.*did you mean 'co2'"),
    "unknown time": (text(), {"time": "dat"}, r"`time` names 'dat'.*did you mean 'date'"),
    "unknown series": (text(), {"series": "xyz"}, r"`series` names 'xyz'.*known are 'date', 'co2'"),
    "too few rows": (
        "".join([HEAD, *ROWS[:4]]),
        {},
        r"too few rows: a window of 3 and a forecast 2 steps ahead need 5 rows in a series, "
        r"the longest has 4 observations; give more rows, or shorten",
    ),
    "one row": (HEAD + ROWS[0], {}, r"too few rows.*the longest has 1 "),
    "empty": ("", {}, r"data\.csv: the file is empty; write a header"),
    "header alone": (HEAD, {}, r"data\.csv: there is no row below the header"),
    "blank lines alone": ("\n\n\n", {}, r"there is no row below the header"),
    "short row": (text(line_6="2000-01-05,3"), {}, r"line 6: has 2 cells where the header has 3"),
    "long row": (text(line_6="2000-01-05,3,a,b"), {}, r"line 6: has 4 cells where .* 3; quote"),
    "open quote": (text(line_32='2000-01-31,"3,a'), {}, r"line 32: not readable as CSV"),
    "column twice in the header": (
        "date,co2,co2\n2000-01-01,1,2\n",
        {},
        r"line 1: the header names 'co2' twice; give each",
    ),
    "no features": (text(), {"features": []}, r"`features` names no column; list the features"),
    "no targets": (text(), {"targets": None}, r"`targets` names no column; list the targets"),
    "feature twice": (text(), {"features": ["co2", "co2"]}, r"`features` names 'co2' twice"),
    "target is the time": (
        text(),
        {"targets": ["date"]},
        r"`targets` names 'date', which is the time column; choose other",
    ),
    "feature is the series": (
        text(),
        {"series": "site", "features": ["co2", "site"]},
        r"`features` names 'site', which is the series column",
    ),
    "series is the time": (text(), {"series": "date"}, r"`series` and `time` are both 'date'"),
    "calendar of numbers": (
        "date,co2\n1,2\n2,3\n",
        {"calendar": ["year"]},
        r"column 'date': `calendar` needs dates, but times are numbers",
    ),
    "no window": (text(), {"window": None}, r"`window` is missing; say how many"),
    "window of nothing": (text(), {"window": 0}, r"`window` is 0; use a whole number from 1"),
    "window not whole": (text(), {"window": 2.5}, r"`window` is 2\.5; use a whole number"),
    "horizon of nothing": (text(), {"horizon": 0}, r"`horizon` is 0; use a whole number"),
    "horizons out of order": (text(), {"horizon": [3, 1]}, r"`horizon` is \[3, 1\]; list steps"),
    "step backwards": (text(), {"step": -1}, r"`step` is -1; use a positive number"),
    "shortest above longest": (text(), {"min_window": 9}, r"`min_window` is 9, `window` 3"),
    "unknown task": (text(), {"task": "forcast"}, r"`task` is 'forcast'; did you mean 'forecast'"),
    "unknown transform": (
        text(),
        {"target_transform": "delta"},
        r"`target_transform` is 'delta'; known are 'level', 'change'",
    ),
    "unknown unit": (text(), {"time_unit": "days"}, r"`time_unit` is 'days'; did you mean 'day'"),
    "unknown cycle": (text(), {"calendar": ["yaer"]}, r"`calendar` names 'yaer'; did you mean"),
    "no harmonics": (text(), {"calendar": {"year": 0}}, r"'year' has 0 harmonics; use 1, 2"),
    "unknown split": (
        text(),
        {"split": {"vaild": 0.2}},
        r"`split` has no 'vaild' here; did you mean 'valid'\?",
    ),
    "shares of everything": (
        text(),
        {"split": {"valid": 0.5, "test": 0.5}},
        r"shares of `split` add up to 1; leave something to train on",
    ),
    "negative share": (text(), {"split": {"valid": -0.1}}, r"`split\.valid` is -0\.1; use a share"),
    "share in words": (text(), {"split": {"test": "half"}}, r"`split\.test` is 'half'"),
    "shares and dates": (
        text(),
        {"split": {"valid": 0.2, "test_from": "2000-01-20"}},
        r"has shares \(valid\) and dates \(test_from\); use one",
    ),
    "dates upside down": (
        text(),
        {"split": {"valid_from": "2000-01-20", "test_from": "2000-01-10"}},
        r"`split`: test begins at 2000-01-10, valid at 2000-01-20; blocks follow one another",
    ),
    "date outside the data": (
        text(),
        {"split": {"test_from": "2010-01-01"}},
        r"test begins at 2010-01-01, outside the data, which reach from 2000-01-01 to 2000-01-31",
    ),
    "split date unreadable": (
        text(),
        {"split": {"test_from": "next year"}},
        r"`split\.test_from` is 'next year': .* not a date.*YYYY-MM-DD",
    ),
    "split by a number": (
        text(),
        {"split": {"test_from": 3}},
        r"`split\.test_from` is 3, but this time column holds dates",
    ),
    "empty block": (
        text(),
        {"split": {"valid_from": "2000-01-20", "test_from": "2000-01-21"}},
        r"leaves no window for valid, from 2000-01-20 to 2000-01-21; the whole forecast, 2 steps",
    ),
    "nothing to train on": (
        text(),
        {"split": {"valid_from": "2000-01-03"}},
        r"leaves no window to train on before 2000-01-03; 3 observations and 2 steps of 1 day",
    ),
    "too many origins": (
        text(),
        {"split": {"test": 0.3, "test_every": 2, "test_origins": 99}},
        r"`split\.test_origins` is 99, but the test block holds \d+; begin the test earlier",
    ),
    "origins not whole": (
        text(),
        {"split": {"test": 0.3, "test_every": 0}},
        r"`split\.test_every` is 0; use a whole number from 1",
    ),
    "labels but no series": (
        text(),
        {"task": "classification", "targets": "site"},
        r"`series` is missing, but classification has one answer per series; name the column",
    ),
    "answer among the features": (
        text(),
        {"task": "regression", "series": "site"},
        r"`features` names 'co2', which is a target; the answer must not",
    ),
    "change to regress": (
        text(),
        {"task": "regression", "target_transform": "change"},
        r"`target_transform` 'change' is for forecasts; use 'level'",
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text(name, tmp_path):
    content, changes, message = TEXTS[name]
    path = tmp_path / "data.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        prepare(path, **{**GOOD, **changes})


def test_the_good_file_is_good(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(text())
    assert len(prepare(path, **GOOD).train)


def labelled(**changed):
    rows = [(s, t, float(t), "up" if s in "abc" else "down") for s in "abcdef" for t in range(3)]
    names, times, values, labels = (list(c) for c in zip(*rows, strict=True))
    return {"s": names, "t": times, "v": values, "label": labels, **changed}


LABELLED = {
    "no label": ({"label": [None] * 3 + ["x", "y"] * 7 + ["x"]}, {}, r"row 1.* series 'a' has no"),
    "label changes": (
        {"label": ["x", "x", "y"] + ["x"] * 15},
        {},
        r"row 3, column 'label': series 'a' has 'y' here, 'x' before; .*`label: last`",
    ),
    "one class": ({"label": ["x"] * 18}, {}, r"column 'label': .* only the class 'x'; give at"),
    "class without an example": (
        {"label": ["x"] * 3 + ["y"] * 15},
        {"split": {"test": 0.8, "seed": 1}},
        r"the training data hold only|has no example in the training data",
    ),
    "several labels": (
        {"other": ["x"] * 9 + ["y"] * 9},
        {"targets": ["label", "other"]},
        r"`targets` names 2 columns to classify; name the one",
    ),
    "share too small": ({}, {"split": {"valid": 0.01}}, r"leaves valid without any of the 6"),
    "dates for series": ({}, {"split": {"test_from": 3}}, r"has no 'test_from' here"),
    "unknown order": ({}, {"split": {"by": "serie"}}, r"`split\.by` is 'serie'; did you mean"),
    "seed": ({}, {"split": {"seed": -1}}, r"`split\.seed` is -1"),
    "nothing observed": ({"v": [np.nan] * 3 + [1.0] * 15}, {}, r"series 'a' has no observation"),
}


@pytest.mark.parametrize("name", LABELLED)
def test_whole_series(name):
    changes, options, message = LABELLED[name]
    defaults = {"time": "t", "features": "v", "targets": "label", "series": "s"}
    with pytest.raises(DataError, match=message):
        prepare(labelled(**changes), task="classification", **{**defaults, **options})


X, Y = np.ones((8, 5, 2)), np.arange(8.0)
HOLE = np.where(np.arange(5) == 3, np.inf, X[..., 0])[..., None]
ARRAYS = {
    "no x": ({"y": Y}, r"there is no array 'x'; found 'y'; save it as 'x'"),
    "no y": ({"x": X}, r"there is no array 'y'"),
    "unknown array": ({"x": X, "y": Y, "masks": Y}, r"'masks' is not known; did you mean 'mask'"),
    "flat x": ({"x": X[0], "y": Y}, r"`x` must be \(n, time, features\), .* got \(5, 2\)"),
    "words for x": ({"x": np.full((8, 5, 2), "a"), "y": Y}, r"`x` must be numbers, got <U1"),
    "infinite x": ({"x": HOLE, "y": Y}, r"`x\[0, 3, 0\]` is infinite; correct it, or write NaN"),
    "y too short": ({"x": X, "y": Y[:5]}, r"`y` must be \(n, targets\) with n = 8, got \(5, 1\)"),
    "y constant": ({"x": X, "y": Y * 0}, r"column 'y0': the target is constant \(0\)"),
    "timespans turned": (
        {"x": X, "y": Y, "timespans": np.ones((5, 8))},
        r"`timespans` must be \(n, time\) = \(8, 5\), got \(5, 8\); transpose it",
    ),
    "negative timespans": (
        {"x": X, "y": Y, "timespans": -np.ones((8, 5))},
        r"`timespans\[0, 0\]` is -1; time elapsed before an observation is 0 or more",
    ),
    "missing timespans": (
        {"x": X, "y": Y, "timespans": np.full((8, 5), np.nan)},
        r"`timespans\[0, 0\]` is nan",
    ),
    "mask misshapen": ({"x": X, "y": Y, "mask": np.ones((8, 4))}, r"`mask` must be \(8, 5\)"),
    "mask of twos": ({"x": X, "y": Y, "mask": np.full((8, 5), 2)}, r"`mask` must be booleans"),
    "mask of nothing": (
        {"x": X, "y": Y, "mask": np.zeros((8, 5), bool)},
        r"`mask\[0\]` leaves no observation; remove that sequence",
    ),
    "objects": ({"x": np.array([{}, []], object), "y": Y}, r"Python objects; .*never unpickled"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_npz(name, tmp_path):
    arrays, message = ARRAYS[name]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=r"a\.npz.*" + message):
        prepare(tmp_path / "a.npz", task="regression")


def test_labels_of_arrays():
    with pytest.raises(DataError, match=r"`y\[2\]` is nan; label every sequence"):
        prepare({"x": X, "y": np.where(Y == 2, np.nan, Y)}, task="classification")
    with pytest.raises(DataError, match="only the class '0'"):
        prepare({"x": X, "y": Y * 0}, task="classification")
    with pytest.raises(DataError, match=r"`y` must be \(n,\) = \(8,\) labels, got \(7,\)"):
        prepare({"x": X, "y": Y[:7]}, task="classification")


def test_names_of_arrays():
    with pytest.raises(DataError, match=r"`features` names 1 columns, `x` has 2; name all 2"):
        prepare({"x": X, "y": Y}, task="regression", features=["a"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.xlsx",
            b"1",
            r"a\.xlsx: cannot read the extension '\.xlsx'; use \.csv, \.tsv, \.parquet",
        ),
        ("noextension", b"1", r"cannot read the extension ''"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\x00\xff", r"a\.csv: not UTF-8 text \(byte 0x89\)"),
        ("a.csv", b"t,y\n1,\x00\n", r"a\.csv, line 2: not a text file"),
        ("a.csv", b"t,y\n1,\xe9\n", r"not UTF-8 text \(byte 0xe9\); save it as a UTF-8"),
        ("a.parquet", b"PAR1 and nonsense", r"a\.parquet: not a readable Parquet file"),
        ("a.npz", b"PK and nonsense", r"a\.npz: not a readable NPZ file"),
        ("a.npz", b"nonsense", r"a\.npz: not a readable NPZ file"),
    ],
)
def test_files(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        prepare(tmp_path / name, **GOOD)


def test_paths(tmp_path):
    (tmp_path / "co2.csv").write_text(text())
    with pytest.raises(DataError, match=r"no such file; did you mean 'co2\.csv'\?"):
        prepare(tmp_path / "co3.csv", **GOOD)
    with pytest.raises(DataError, match=r"the folder .* does not exist either"):
        prepare(tmp_path / "nowhere" / "co2.csv", **GOOD)
    with pytest.raises(DataError, match=r"this is a folder; name one file in it"):
        prepare(tmp_path, **GOOD)
    np.savez(tmp_path / "a.npz", x=X)
    with pytest.raises(DataError, match="NPZ holds arrays, no table"):
        read_table(tmp_path / "a.npz")


def test_frames_and_parquet_name_rows(tmp_path):
    frame = pd.DataFrame({"t": [1.0, 2.0, 2.0], "y": [1.0, np.inf, 3.0]})
    options = {"time": "t", "features": "y", "targets": "y", "window": 1}
    with pytest.raises(DataError, match=r"data frame, row 2, column 'y': inf is infinite"):
        prepare(frame, **options)
    frame.loc[1, "y"] = 2.0
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet, row 3, column 't': 2 stands already in row"):
        prepare(tmp_path / "a.parquet", **options)
    with pytest.raises(DataError, match="there is no row"):
        prepare(frame.iloc[:0], **options)
    with pytest.raises(DataError, match="dates are for `time`; use `calendar`"):
        prepare(frame.assign(y=pd.Timestamp("2000-01-01"), t=[1, 2, 3]), **options)


def test_change_needs_the_target_among_the_features():
    table = {"t": np.arange(9.0), "a": np.arange(9.0), "b": np.arange(9.0)}
    options = {"time": "t", "features": "a", "targets": "b", "window": 2}
    with pytest.raises(DataError, match=r"'change', but 'b' is no feature; add 'b' to features"):
        prepare(table, target_transform="change", **options)


def test_new_data(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(text())
    schema = prepare(path, **GOOD).schema
    path.write_text("".join([HEAD, *ROWS[:2]]))
    with pytest.raises(
        DataError,
        match=r"data\.csv: the table has 2 .* window needs 3; give",
    ):
        windows_for_prediction(path, schema)
    with pytest.raises(DataError, match=r"too few rows"):
        windows_for_prediction(path, schema, every_origin=True)
    with pytest.raises(DataError, match=r"too few rows"):
        windows_for_evaluation(path, schema)
    path.write_text("date,co2\n1,2\n2,3\n3,4\n")
    with pytest.raises(DataError, match=r"numbers where the training data had dates; write dates"):
        windows_for_prediction(path, schema)
    path.write_text("date,CO2\n2000-01-01,2\n")
    with pytest.raises(DataError, match=r"`features` names 'co2'.*did you mean 'CO2'"):
        windows_for_prediction(path, schema)
    schema = prepare({"x": X, "y": Y}, task="regression").schema
    with pytest.raises(DataError, match=r"this schema is of arrays x, y; give an NPZ"):
        windows_for_prediction(path, schema)


def test_no_table():
    with pytest.raises(DataError, match="cannot read a table from int; give a file's path"):
        read_table(3)
    with pytest.raises(DataError, match=r"columns differ in length: \{'a': 1, 'b': 2\}"):
        read_table({"a": [1], "b": [1, 2]})


def test_the_message_is_in_parts():
    error = DataError("found", "remedy", path="a.csv", row="line 3", column="y")
    assert str(error) == "a.csv, line 3, column 'y': found; remedy"
    assert re.match("a.csv: found$", str(DataError("found", path="a.csv")))
    assert isinstance(error, ValueError)
