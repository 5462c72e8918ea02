"""Whatever is malformed is refused: place and remedy, exit code 2, nothing left behind."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shoal.app.main import app

_spec = importlib.util.spec_from_file_location("cases", Path(__file__).with_name("cases.py"))
cases = importlib.util.module_from_spec(_spec)
sys.modules["cases"] = cases
_spec.loader.exec_module(cases)

PROCESSES = ("misspelt key", "python object", "word for a number", "constant target")


def lay_out(case, folder):
    """The files of a case; the arguments that meet them."""
    for name, content in (("config.yaml", case.config), (case.data_name, case.data)):
        if name == case.data_name and content is None:
            name, content = "data.csv", cases.table()
        if content is not None:
            raw = content if isinstance(content, bytes) else content.encode()
            (folder / name).write_bytes(raw)
    sets = [word for one in case.sets for word in ("--set", one)]
    return ["train", "config.yaml", *sets]


def check(case, code, text, before, folder):
    assert code == 2, text
    assert "Traceback" not in text
    for part in case.says:
        assert part in text
    assert {path.name for path in folder.iterdir()} == before


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
def test_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = lay_out(case, tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    result = CliRunner().invoke(app, arguments)
    check(case, result.exit_code, result.output, before, tmp_path)


@pytest.mark.parametrize("name", PROCESSES)
def test_refused_as_a_process(name, tmp_path):
    case = next(case for case in cases.CASES if case.name == name)
    arguments = lay_out(case, tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    shoal = Path(sys.executable).with_name("shoal")
    done = subprocess.run([shoal, *arguments], cwd=tmp_path, capture_output=True, text=True)
    check(case, done.returncode, done.stdout + done.stderr, before, tmp_path)


def test_there_are_enough_and_no_two_alike():
    names = [case.name for case in cases.CASES]
    assert len(set(names)) == len(names) >= 60


def test_the_good_one_is_good(tmp_path, monkeypatch):
    from shoal.run.members import prepare_data
    from shoal.run.plan import resolve

    monkeypatch.chdir(tmp_path)
    lay_out(cases.Case("good", ()), tmp_path)
    prepared = prepare_data(resolve(Path("config.yaml")))
    assert len(prepared.train) > 10
