"""`shoal inspect`: what it draws, what it says, and how it refuses."""

import importlib.util
import json
import re
import shutil
import sys
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from shoal.app.inspect import chosen_members
from shoal.app.main import app
from shoal.run.errors import Refused

_spec = importlib.util.spec_from_file_location(
    "layout", Path(__file__).parents[1] / "run/conftest.py"
)
layout = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(layout)


def shoal(*arguments, code=0):
    """What a command says."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a finished run, and a copy of its bundle that knows nothing of the run."""
    folder = tmp_path_factory.mktemp("home")
    sets = ["training.epochs=1", "report.enabled=false", "export.stablehlo=false"]
    with chdir(folder):
        layout.lay_out(folder)
        shoal("train", "c.yaml", *(word for one in sets for word in ("--set", one)))
        (run,) = Path("runs").iterdir()
        shutil.copytree(run / "bundle", "alone")
    return folder


@pytest.fixture
def at_home(home, monkeypatch):
    monkeypatch.chdir(home)


def test_the_best_member_reads_the_last_held_out_window(at_home):
    said = shoal("inspect", "wave")
    assert re.search(r"^wave-.*: member [01] \(the best\)$", said, re.M)
    assert "The last window of the test block: 8 observations of a and b" in said
    row = re.search(r"^ *member \d +CfC +4 +(\S+) +(\S+) +(\S+)$", said, re.M)
    low, middle, high = map(float, row.groups())
    assert 0 < low <= middle <= high
    for name in ("a", "b", "elapsed time"):
        assert re.search(rf"^ *{name} +\d+ % +[+-]", said, re.M)
    assert "wrote inspect.html" in said
    page = Path("inspect.html").read_text("utf-8")
    assert re.findall(r'<figure id="([^"]+)"', page) == ["reads", "states", "clocks", "leanings"]


def test_what_it_draws_is_what_the_library_sees(at_home):
    from shoal.data import windows_for_prediction
    from shoal.report.inside_look import look
    from shoal.run.source import find_source

    said = shoal("inspect", "alone", "--data", "in/wave.csv", "--member", "1", "--window", "5")
    assert "Window 5 of wave.csv" in said
    page = Path("inspect.html").read_text("utf-8")
    texts = re.findall(r'<script type="application/json">(.*?)</script>', page)
    drawn = {name: json.loads(text) for name, text in zip("rscl", texts, strict=True)}
    crowd = find_source("alone").load()
    windows = windows_for_prediction("in/wave.csv", crowd.schema, every_origin=True)
    found = look(crowd, windows, row=5, members=[1], names=["member 1"])
    (cell,) = found.members[0].cells
    states = np.array(drawn["s"]["views"][""][0]["z"])
    np.testing.assert_allclose(states, cell.hidden.T[cell.order], rtol=1e-3, atol=1e-4)
    constants = np.array(drawn["c"]["views"][""][0]["customdata"])
    np.testing.assert_allclose(constants, cell.constants.T[cell.order], rtol=1e-3)


def test_everybody_on_one_page_one_member_on_paper(at_home):
    said = shoal("inspect", "wave", "--member", "all", "-o", "all.html")
    assert "all 2 members" in said
    assert "what the collective leans on" in said
    assert ">member 1</option>" in Path("all.html").read_text("utf-8")
    assert "member 0" in shoal("inspect", "wave", "--member", "0", "-o", "one.png")
    assert Path("one.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("alone",), "is a bundle; name the data to look at with --data FILE"),
        (("alone", "--data", "no.csv"), "no.csv"),
        (("nothing",), "there are runs of"),
        (("wave", "--member", "7"), "--member 7: there is no such member; name best, all, or"),
        (("wave", "--member", "worst"), "--member worst"),
        (("wave", "--window", "900"), "--window 900: the test block has"),
        (("wave", "--window", "first"), "must be a number or `last`, found 'first'"),
        (("wave", "-o", "a.doc"), "cannot draw '.doc'; use .html, .png, .svg, .pdf"),
        (("wave", "-o", "no/a.html"), "there is no folder no"),
        (("wave", "--member", "all", "-o", "a.svg"), ".svg shows one member"),
    ],
)
def test_refusals(at_home, arguments, message):
    before = sorted(Path().rglob("*"))
    said = shoal("inspect", *arguments, code=2)
    assert message in said
    assert "Traceback" not in said
    assert sorted(Path().rglob("*")) == before


def test_members_that_failed_keep_their_numbers():
    members = [{"index": i, "usable": i != 1} for i in range(4)]
    facts = {"members": members, "best_model_index": 3}
    assert chosen_members(facts, 3, None) == ([2], ["member 3"], "member 3 (the best)")
    assert chosen_members(facts, 3, "2") == ([1], ["member 2"], "member 2")
    assert chosen_members(facts, 3, "all")[1] == ["member 0", "member 2", "member 3"]
    with pytest.raises(Refused, match="no such member; name best, all, or one of 0, 2, 3"):
        chosen_members(facts, 3, "1")
    assert chosen_members({}, 2, None)[1] == ["member 0"]
    with pytest.raises(Refused, match="does not say which member is the best"):
        chosen_members({}, 2, "best")


def test_without_matplotlib_it_says_what_to_install(at_home, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "pip install 'shoal[draw]'" in shoal("inspect", "wave", "-o", "x.png", code=2)
    assert not Path("x.png").exists()
