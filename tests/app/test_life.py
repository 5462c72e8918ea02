"""`shoal update` and `shoal distill`: what they write, what they say, and how they refuse."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shoal.app.main import app
from shoal.bundle import read_manifest
from shoal.run.folder import find


def shoal(*arguments):
    """The result of a command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def said(result, code=0):
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture
def bundle(at_home, tmp_path):
    """A copy of the run's bundle, alone in a folder."""
    return Path(shutil.copytree(find("wave", Path("runs")).bundle, tmp_path / "bundle"))


def test_update_writes_a_new_bundle_and_shows_before_and_after(bundle):
    sets = ("--set", "training.epochs=1")
    text = said(shoal("update", bundle, "in/wave.csv", "--add", "1", "--retrain", *sets))
    for word in ("data in/wave.csv: windows: train", "epoch 1/1", "before", "after", "member"):
        assert word in text
    assert f"bundle    {bundle}-2/manifest.json" in text
    assert read_manifest(f"{bundle}-2")["seeds"] == [42, 43, 44]
    assert read_manifest(bundle)["n_models"] == 2
    text = said(shoal("info", f"{bundle}-2"))
    assert "update 1" in text
    assert "member 2 new" in text
    said(shoal("predict", f"{bundle}-2", "--data", "in/wave.csv"))


def test_update_in_place(bundle):
    before = read_manifest(bundle)["weighting"]
    said(shoal("update", bundle, "in/wave.csv", "--in-place"))
    manifest = read_manifest(bundle)
    assert manifest["weighting"] == before  # uniform
    assert len(manifest["info"]["updates"]) == 1
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_distill_writes_a_student_and_its_card(bundle):
    text = said(shoal("distill", bundle, "in/wave.csv", "--set", "training.epochs=2"))
    for word in ("crowd", "best member", "mean member", "student", "spreads: correlation"):
        assert word in text
    assert read_manifest(f"{bundle}-student")["n_models"] == 1
    assert "student of" in said(shoal("info", f"{bundle}-student"))
    assert "lower" in said(shoal("predict", f"{bundle}-student", "--data", "in/wave.csv"))


def test_an_interruption_says_that_nothing_was_written(bundle, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("shoal.run.life.updating.update", interrupted)
    assert "nothing was written" in said(shoal("update", bundle, "in/wave.csv"), 130)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("update", "{}", "in/wave.csv", "--add", "0"), "must be a whole number from 1"),
        (("update", "{}", "in/wave.csv", "--replace", "8"), "there is no member '8'"),
        (("update", "{}", "in/nothing.csv", "--add", "1"), "there is no such file"),
        (("update", "{}", "in/steps.csv", "--add", "1"), "which is no column"),
        (("update", "{}", "in/wave.csv", "--set", "model.units=9"), "decided when the crowd"),
        (("update", "nowhere", "in/wave.csv"), "nowhere: neither a run's folder"),
        (("distill", "{}", "in/wave.csv", "--output", "."), "exists already; name another"),
        (("distill", "{}", "in/wave.csv", "--seed", "-1"), "seed: seeds must lie in"),
    ],
)
def test_refusals(bundle, arguments, message):
    text = said(shoal(*(word.format(bundle) for word in arguments)), 2)
    assert message in text
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]
