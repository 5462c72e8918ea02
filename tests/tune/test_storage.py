"""Where many workers may meet, and what is said where they cannot."""

import shutil
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from shoal.app.main import app
from shoal.run import Refused
from shoal.tune import tune
from shoal.tune.addresses import located, shown, without_secrets
from shoal.tune.counting import LOST
from shoal.tune.results import Result
from shoal.tune.storage import journal, new_study, shared
from shoal.tune.takeover import end


def answers(jobs):
    """What trains nothing: the loss is the learning rate, less is better."""
    for place, job in enumerate(jobs):
        rates = [one["training"]["learning_rate"] for one in job.configs]
        yield place, [Result("complete", (r,), losses=(r,)) for r in rates]


def never(jobs):
    raise AssertionError("nothing is left to train")


def test_who_comes_later_finds_the_same(workspace):
    first = tune("c.yaml", runner=answers, storage="study.journal")
    second = tune("c.yaml", runner=never, storage="study.journal")
    assert first.folder != second.folder
    for name in ("trials.csv", "best.yaml"):
        texts = [(one.folder / name).read_text().split("\n", 2) for one in (first, second)]
        assert texts[0][2] == texts[1][2]
        assert texts[0][0] == texts[1][0]
    assert not (first.folder / "study.journal").exists()
    shutil.copytree("in", "elsewhere/in")
    shutil.copy("c.yaml", "elsewhere")
    other = tune("elsewhere/c.yaml", runner=never, storage="elsewhere/../study.journal")
    assert other.best.number == first.best.number
    longer = tune(overrides={"tune.trials": 7}, resume=second.folder, runner=answers)
    assert (longer.folder, len(longer.trials)) == (second.folder, 7)
    again = tune("c.yaml", {"tune.trials": 7}, resume=first.folder, runner=never)
    assert [one.point for one in again.trials] == [one.point for one in longer.trials]


def test_a_study_of_another_search_is_refused(workspace):
    tune("c.yaml", runner=answers, storage="study.journal")
    left = sorted(Path("runs").iterdir())
    for change, message in (
        ({"tune.space": {"model.units": [3, 4]}}, r"tune\.space: was"),
        ({"tune.objectives": ["rmse"]}, r"tune\.objectives: was"),
        ({"training.epochs": 4}, r"study 'wave': training\.epochs: was 3, now 4"),
    ):
        with pytest.raises(Refused, match=message) as refused:
            tune("c.yaml", change, runner=answers, storage="study.journal")
        assert "belongs to another search; take another storage, or" in str(refused.value)
    data = Path("in/wave.csv")
    data.write_text(data.read_text() + "200.0,0.1,0.2\n")
    with pytest.raises(Refused, match="study 'wave': the data differ"):
        tune("c.yaml", runner=answers, storage="study.journal")
    assert sorted(Path("runs").iterdir()) == left
    other = {"export.name": "other"}
    assert len(tune("c.yaml", other, runner=answers, storage="study.journal").trials) == 5


def test_a_storage_in_the_configuration(workspace):
    text = Path("c.yaml").read_text()
    Path("c.yaml").write_text(text + "  storage: study.journal\n  grace: 30\n")
    found = tune("c.yaml", runner=answers)
    assert found.study.study_name == "wave"
    assert str(workspace / "study.journal") in (found.folder / "tune.yaml").read_text()
    with pytest.raises(Refused, match="several workers; remove it, or the storage"):
        tune("c.yaml", {"tune.crowd": {}}, runner=answers)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("sqlite:///study.db", "storage: sqlite: SQLite is unfit for several writers; name a jour"),
        ("mysql://me:secret@db/s", "storage: mysql: unknown; name a journal file"),
        ("postgresql://me:secret@db:port/s", "storage: is no address of a database; write postgr"),
        ("nowhere/study.journal", "its folder does not exist; make it"),
        ("in", "is a folder; name a file in it"),
        ("c.yaml", "is no journal of a study"),
        ("list.json", "is no journal of a study"),
        ("postgresql://me:secret@127.0.0.1:1/s?password=secret", "cannot be reached (connection"),
    ],
)
def test_a_storage_that_cannot_be(workspace, where, message):
    Path("list.json").write_text('{"a": 3}\n')
    result = CliRunner().invoke(app, ["tune", "c.yaml", "--plain", "--storage", where])
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert "secret" not in result.output
    assert not Path("runs").exists()
    assert not Path("nowhere").exists()


def test_a_journal_that_can_no_longer_be_written(workspace):
    def loses(jobs):
        Path("study.journal").unlink()
        Path("study.journal").mkdir()
        return answers(jobs)

    with pytest.raises(Refused, match=r"reached \(Is a directory\); go on with: shoal tune --res"):
        tune("c.yaml", runner=loses, storage="study.journal")


def test_a_lock_dies_with_its_holder(workspace):
    Path("study.journal").touch()
    code = (
        "import fcntl, time; file = open('study.journal'); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('locked', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    names = []
    thread = Thread(target=lambda: names.append(tune_study().study_name))
    try:
        assert holder.stdout.readline() == b"locked\n"
        thread.start()
        thread.join(0.3)
        assert names == []
    finally:
        holder.kill()
        holder.wait()
    thread.join(10)
    assert names == ["s"]
    assert not Path("study.journal.lock").exists()


def tune_study():
    return new_study(shared("study.journal"), "s", ("loss",), ("minimize",))


def test_who_resumes_repairs_what_was_given_up_half_way(workspace):
    def dies(jobs):
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        tune("c.yaml", runner=dies)
    (folder,) = Path("runs").iterdir()
    study = new_study(journal(folder / "study.journal"), "shoal", ("loss",), ("minimize",))
    assert end(study, study.get_trials()[1], LOST)  # and is killed before it writes it down again
    found = tune(resume=folder, runner=answers)
    assert [one.state for one in found.trials] == ["complete"] * 5
    assert len(found.study.get_trials()) == 8


def test_without_psycopg(workspace, monkeypatch):
    monkeypatch.setattr("shoal.tune.addresses.find_spec", lambda name: None)
    with pytest.raises(Refused, match=r"install it: pip install 'shoal\[postgresql\]'"):
        tune("c.yaml", storage="postgresql://me@db/s")


def test_passwords_are_left_out():
    where = located("postgres://me:p%40ss@db:5433/studies?sslmode=require")
    assert shown(where) == "postgresql://me@db:5433/studies?sslmode=require"
    assert located(shown(where)) == where.replace(":p%40ss", "")
    assert without_secrets("no p@ss for me", where) == "no *** for me"
    assert shown("/a/study.journal") == without_secrets("/a/study.journal", "/a/study.journal")
