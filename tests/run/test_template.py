"""`shoal init`: the template is valid, complete, and knows a file's columns."""

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
        ("a.csv", "", "needs a line of column names"),
        ("a.csv", "a;b\n1;2\n", "no column holds numbers"),
        ("a.parquet", "x", "only CSV files"),
    ],
)
def test_files_without_columns_of_numbers(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(Refused, match=message):
        guess_columns(tmp_path / name)
