"""Plans: new runs, resumed runs, and what keeps a run from being resumed."""

from pathlib import Path

import pytest

from shoal.run.errors import Refused
from shoal.run.folder import runs_of
from shoal.run.plan import new_plan, resumed_plan

CONFIG = """\
data: {path: a.csv, time: t, features: [x], targets: [x], window: 8}
model: {kind: cfc}
export: {name: thing}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.csv").write_text("t,x\n1,2\n")
    (tmp_path / "in/c.yaml").write_text(CONFIG)
    return tmp_path / "in/c.yaml"


def test_paths_are_relative_to_the_file_and_outputs_to_the_folder(config, tmp_path):
    plan = new_plan(config, ["training.epochs=7"])
    assert plan.config.data.path == str(tmp_path / "in/a.csv")
    assert plan.folder.path.parent.resolve() == tmp_path / "runs"
    assert plan.folder.name == "thing"
    again = resumed_plan("thing")
    assert again.config == plan.config
    assert again.config.training.epochs == 7
    assert not again.fresh


def test_resume_without_a_run_starts_one_once(config, tmp_path):
    first = resumed_plan(None, config)
    second = resumed_plan(None, config)
    assert (first.fresh, second.fresh) == (True, False)
    assert len(runs_of(tmp_path / "runs")) == 1


def test_changes_are_refused_by_name_unless_forced(config):
    new_plan(config)
    with pytest.raises(Refused) as caught:
        resumed_plan(None, config, ["training.learning_rate=0.5", "model.units=7"])
    text = str(caught.value)
    assert "training.learning_rate: was 0.001, now 0.5" in text
    assert "model.units: was null, now 7" in text
    assert "--force" in text
    forced = resumed_plan(None, config, ["model.units=7"], force=True)
    assert forced.config.model.units == 7
    assert resumed_plan("thing").config.model.units == 7


def test_what_touches_no_number_may_change(config):
    new_plan(config)
    assert resumed_plan(None, config, ["report.enabled=false"]).config.report.enabled is False


def test_data_that_are_not_there_are_refused_with_the_line(config, tmp_path):
    config.write_text(CONFIG.replace("a.csv", "b.csv"))
    with pytest.raises(Refused, match=r"c.yaml:1: data.path: there is no file .*b.csv; did you me"):
        new_plan(config)
    assert not (tmp_path / "runs").exists()


def test_places_that_cannot_be_written_to_are_refused_beforehand(config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match=r"--runs file/runs: nothing can be written to file"):
        new_plan(config, runs=Path("file/runs"))
    with pytest.raises(Refused, match=r"export\.dir: file: nothing can be written to file"):
        new_plan(config, ["export.dir=file"])
    assert not runs_of(tmp_path / "runs")
    assert new_plan(config, ["export.dir=file", "export.enabled=false"]).fresh
