"""`shoal init`: the template is valid, complete, and knows a file's columns."""

import numpy as np
import pandas as pd
import pytest

from shoal.run.checking import check
from shoal.run.errors import Refused
from shoal.run.reading import parse
from shoal.run.template import Guess, guess_columns, render


def test_the_template_is_valid_as_it_is():
    config = check(parse(render(Guess())))
    assert config.data.path == "co2_weekly.csv"
    assert config.ensemble.enabled
    assert config.name == "co2_weekly"


def test_columns_are_guessed(tmp_path):
    lines = ["station,when,temp,load"]
    lines += [f"{'ab'[i % 2]},2020-01-{i // 2 + 1:02d},{i * 0.5},{i or ''}" for i in range(40)]
    (tmp_path / "my data.csv").write_text("\n".join(lines))
    guess = guess_columns(tmp_path / "my data.csv")
    assert (guess.time, guess.series) == ("when", "station")
    assert guess.features == ("temp", "load")
    assert guess.targets == ("load",)
    config = check(parse(render(guess)))
    assert config.data.features == ["temp", "load"]
    assert config.export.name == "my_data"


def test_odd_column_names_are_quoted(tmp_path):
    (tmp_path / "a.csv").write_text('t,"x: y",yes,1\n' + "1,2,3,4\n" * 9)
    config = check(parse(render(guess_columns(tmp_path / "a.csv"))))
    assert config.data.features == ["x: y", "yes", "1"]
    assert config.data.time == "t"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "the file is empty"),
        ("a.csv", "a;b\n1,5;2,5\n", "with a decimal point"),
        ("a.csv", "a,b\n1,2\n1\n", "line 3: has 1 cells"),
        ("a.parquet", "x", "not a readable Parquet file"),
        ("a.npz", "x", "not a readable NPZ file"),
        ("a.txt", "a,b\n1,2\n", "cannot read the extension"),
    ],
)
def test_files_without_columns_of_numbers(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(Refused, match=message):
        guess_columns(tmp_path / name)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_can_be_trained_on_can_be_looked_into(tmp_path, separator):
    lines = [separator.join(("t", "flow")), *(separator.join((f"{i}", "1.5")) for i in range(9))]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert guess_columns(tmp_path / "a.csv").features == ("flow",)


def test_parquet_is_looked_into(tmp_path):
    when = pd.date_range("2024-01-01", periods=60, freq="h")
    pd.DataFrame({"when": when, "load": np.arange(60.0)}).to_parquet(tmp_path / "a.parquet")
    guess = guess_columns(tmp_path / "a.parquet")
    assert (guess.time, guess.features, guess.calendar) == ("when", ("load",), ("day",))


@pytest.mark.parametrize(
    ("freq", "periods", "calendar"),
    [("W", 500, ("year",)), ("h", 800, ("week", "day")), ("D", 30, ("week",)), ("YS", 40, ())],
)
def test_cycles_are_guessed_from_what_the_dates_cover(tmp_path, freq, periods, calendar):
    when = pd.date_range("2001-01-01", periods=periods, freq=freq, tz="Europe/Berlin")
    pd.DataFrame({"when": when, "y": 1.5}).to_csv(tmp_path / "a.csv", index=False)
    assert guess_columns(tmp_path / "a.csv").calendar == calendar


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (np.array(["up", "down"] * 20), "classification"),
        (np.zeros((40, 1)), "regression"),
        (np.zeros((40, 3, 1)), "forecast"),
    ],
)
def test_arrays_need_no_columns(tmp_path, y, task):
    np.savez(tmp_path / "a.npz", x=np.zeros((40, 6, 2)), y=y)
    config = check(parse(render(guess_columns(tmp_path / "a.npz"))))
    assert config.data.task == task
    assert config.data.features is None
    np.savez(tmp_path / "b.npz", inputs=y)
    with pytest.raises(Refused, match="needs the arrays `x` and `y`, found inputs"):
        guess_columns(tmp_path / "b.npz")
