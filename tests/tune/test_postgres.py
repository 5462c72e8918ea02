"""A study in a real PostgreSQL server, which the test starts for itself."""

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shoal.app.main import app
from shoal.run import Refused
from shoal.tune import tune
from shoal.tune.storage import new_study, shared

_spec = importlib.util.spec_from_file_location(
    "workers", Path(__file__).with_name("test_workers.py")
)
workers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(workers)
study = workers.study
SAME = ("dead", "taker", "late", "asked_for", "same_time")
TESTS = {n: f for n, f in vars(workers).items() if any(f"test_{n}".count(w) for w in SAME)}
globals().update({name: one for name, one in TESTS.items() if name.startswith("test_")})

PASSWORD = "se%cret"
SCRIPT = """
import os, sys, time
from pathlib import Path
from shoal.tune import tune
from shoal.tune.results import Result

def answers(jobs):
    for place, job in enumerate(jobs):
        if name := os.environ.get("HANGS"):
            Path(name).touch()
            time.sleep(600)
        rates = [one["training"]["learning_rate"] for one in job.configs]
        yield place, [Result("complete", (r,), losses=(r,)) for r in rates]

tune("c.yaml", {"tune.grace": 2.0, "tune.trials": 7}, runner=answers, storage=sys.argv[1])
"""


def program(name):
    """A server's program: on the path, or where Debian keeps it."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else None)


@pytest.fixture(scope="module")
def server():
    """A server's port; its files lie in a folder of their own, and nobody else uses it."""
    if program("initdb") is None:
        pytest.skip("no PostgreSQL server is installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="shoal-pg-", dir="/tmp"))
    user = {}
    if os.geteuid() == 0:  # which the server refuses to run as
        owner = next(n for n in ("postgres", "nobody") if n in {u.pw_name for u in pwd.getpwall()})
        shutil.chown(folder, owner)
        user = {"user": owner, "group": pwd.getpwnam(owner).pw_gid, "extra_groups": []}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(name, *arguments):
        quiet = {"stdout": subprocess.DEVNULL, "cwd": folder, "timeout": 60}
        subprocess.run([program(name), *arguments], check=True, **quiet, **user)

    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
    call("initdb", "-D", "data", "-U", "me", "-A", "scram-sha-256", "--pwfile=password", "-N")
    call("pg_ctl", "-D", "data", "-o", options, "-l", "log", "-w", "start")
    yield port
    call("pg_ctl", "-D", "data", "-m", "immediate", "stop")
    shutil.rmtree(folder)


def database(port, name):
    """The address of a new database, as `located` gives it."""
    import psycopg

    login = {"host": "127.0.0.1", "port": port, "user": "me", "password": PASSWORD}
    with psycopg.connect(dbname="postgres", autocommit=True, **login) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql+psycopg://me:se%25cret@127.0.0.1:{port}/{name}"


@pytest.fixture(scope="module")
def where(server):
    """The address of a database."""
    return database(server, "studies")


def secrets(folder):
    """Files in which the password stands."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if b"cret@" in path.read_bytes() or b"se%" in path.read_bytes()]


def test_one_of_two_processes_is_killed(workspace, where, monkeypatch):
    Path("work.py").write_text(SCRIPT)
    folder = workers.two_processes([sys.executable, "work.py", where])
    table = (folder / "trials.csv").read_text()
    assert secrets(Path("runs")) == []
    monkeypatch.setenv("PGPASSWORD", PASSWORD)  # which nothing that was written holds
    again = tune(resume=folder)
    assert (again.folder / "trials.csv").read_text() == table
    workers.check_killed(again.study, 7, 3)
    with pytest.raises(Refused, match=r"tune\.seed: was 0, now 1"):
        tune("c.yaml", {"tune.seed": 1}, storage=where)
    assert len(list(Path("runs").iterdir())) == 2


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (("25cret", "25wrong"), 'password authentication failed for user "me"'),
        (("/studies", "/nowhere"), 'database "nowhere" does not exist'),
        ((":se%25cret", ""), "no password supplied"),
    ],
)
def test_what_the_server_refuses(workspace, where, change, cause):
    wrong = where.replace(*change)
    result = CliRunner().invoke(app, ["tune", "c.yaml", "--plain", "--storage", wrong])
    assert result.exit_code == 2, result.output
    assert "the study cannot be reached (connection failed" in result.output
    assert cause in result.output
    assert "wrong" not in result.output
    assert "se%" not in result.output
    assert not Path("runs").exists()


def test_a_database_that_is_lost_meanwhile(workspace, server):
    import psycopg

    where = database(server, "lost")

    def loses(jobs):
        address = where.replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("DROP TABLE trial_values CASCADE")
        yield 0, [workers.Result("complete", (0.5,)) for _ in jobs[0].configs]

    with pytest.raises(
        Refused, match=r"cannot be reached \(.*go on with: shoal tune --resume runs"
    ):
        tune("c.yaml", storage=where, runner=loses)
    assert len(list(Path("runs").iterdir())) == 1
    assert secrets(Path("runs")) == []


def test_many_workers_make_the_tables_at_once(server):
    where = database(server, "empty")

    def made(_):
        return new_study(shared(where), "s", ("loss",), ("minimize",)).study_name

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(made, range(4))) == ["s"] * 4
    with shared(where).engine.connect() as connection:
        shown = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()
        assert shown == "1min"
