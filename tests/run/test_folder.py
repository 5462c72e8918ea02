"""The folder of a run: made whole, found again, held by one process."""

import json
from datetime import datetime

import pytest

from shoal.run import files
from shoal.run.errors import Refused
from shoal.run.folder import create, discard, find, locked, runs_of

NOW = datetime(2026, 1, 2, 3, 4, 5)


@pytest.fixture(autouse=True)
def _no_job(monkeypatch):
    for name in ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID"):
        monkeypatch.delenv(name, raising=False)


def test_name_time_and_job(tmp_path, monkeypatch):
    assert create(tmp_path / "runs", "co2", {"seed": 1}, NOW).path.name == "co2-20260102-030405"
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    folder = create(tmp_path / "runs", "co2", {"seed": 1}, NOW)
    assert folder.path.name == "co2-20260102-030405-77"
    assert folder.name == "co2"
    assert folder.config.read_text() == "seed: 1\n"


def test_two_runs_in_one_second_get_two_folders(tmp_path):
    first, second = (create(tmp_path, "a", {}, NOW) for _ in range(2))
    assert first.path != second.path
    assert [run.path for run in runs_of(tmp_path, "a")] == [first.path, second.path]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [first.path.name, second.path.name]
    )


def test_found_by_folder_by_name_and_as_the_newest(tmp_path):
    old = create(tmp_path, "co2", {}, NOW)
    new = create(tmp_path, "co2", {}, datetime(2027, 1, 1))
    other = create(tmp_path, "co2-big", {}, datetime(2028, 1, 1))
    assert find("co2", tmp_path).path == new.path
    assert find(old.path, tmp_path).path == old.path
    assert find(old.path.name, tmp_path).path == old.path
    assert find(None, tmp_path).path == other.path
    with pytest.raises(Refused, match="did you mean `co2`"):
        find("co22", tmp_path)
    with pytest.raises(Refused, match="there is no run"):
        find("co2", tmp_path / "none")


def test_one_process_at_a_time(tmp_path):
    folder = create(tmp_path, "a", {}, NOW)
    with locked(folder), pytest.raises(Refused, match="another process"), locked(folder):
        pass
    with locked(folder):
        pass


def test_discarded_runs_leave_nothing(tmp_path):
    folder = create(tmp_path / "runs", "a", {}, NOW)
    discard(folder)
    assert list(tmp_path.iterdir()) == []


def test_records_are_merged(tmp_path):
    folder = create(tmp_path, "a", {}, NOW)
    assert folder.read_record() == {}
    folder.write_record(a=1, b=float("nan"))
    folder.write_record(c=2)
    assert folder.read_record() == {"a": 1, "b": None, "c": 2}


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.json"
    files.write_json(target, {"a": 1})

    def fail():
        with files.replacing(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert json.loads(target.read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_what_a_killed_process_left_in_a_run_is_removed(tmp_path):
    run = create(tmp_path, "a", {"seed": 0})
    (run.checkpoints / ".draft-1").mkdir()
    (run.path / ".bundle.draft-elsewhere-1").mkdir()
    (run.path / ".report.html.x.html").write_text("<p>")
    before = {path.name for path in run.path.iterdir() if not path.name.startswith(".")}
    with locked(run):
        assert {path.name for path in run.path.iterdir()} == before
        assert not list(run.checkpoints.iterdir())
