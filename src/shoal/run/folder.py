"""The folder of one run: `runs/NAME-TIME[-JOBID]/`, its parts, and how it is found again."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from shoal.bundle.files import draft, remove_stale
from shoal.run import files
from shoal.run.errors import Refused, nearest

JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "FLUX_JOB_ID", "COBALT_JOBID")
_NAMED = re.compile(r"(?P<name>.+)-(?P<time>\d{8}-\d{6})(-(?P<job>[^/]+))?")


@dataclass(frozen=True)
class RunFolder:
    """Where the parts of a run lie; nothing is read or written by naming them."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def history(self) -> Path:
        return self.path / "history.parquet"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def bundle(self) -> Path:
        return self.path / "bundle"

    @property
    def record(self) -> Path:
        """What the run knows of itself: data hash, devices, versions, whether it finished."""
        return self.checkpoints / "run.json"

    @property
    def name(self) -> str:
        """The run's name, without its time.

        >>> RunFolder(Path("runs/co2-20260102-030405-77")).name
        'co2'
        """
        found = _NAMED.fullmatch(self.path.name)
        return found["name"] if found else self.path.name

    def read_record(self) -> dict[str, Any]:
        """The record, empty when none was written yet."""
        try:
            return json.loads(self.record.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    def write_record(self, **changes: Any) -> None:
        """The record with some entries replaced."""
        files.write_json(self.record, {**self.read_record(), **changes})


def job_id(environment: Mapping[str, str] = os.environ) -> str | None:
    """The scheduler's number of this job, in an array with the task's number.

    >>> job_id({"SLURM_JOB_ID": "77"}), job_id({"PBS_JOBID": "9.head"}), job_id({})
    ('77', '9.head', None)
    """
    for name in JOB_VARIABLES:
        found = environment.get(name, "").strip()
        if found and found != "undefined":
            return re.sub(r"[^A-Za-z0-9_.]+", "_", found)
    return None


def create(
    runs: Path, name: str, config: Mapping[str, Any], now: datetime | None = None
) -> RunFolder:
    """A new folder with its `config.yaml`, which appears whole under a name nobody has."""
    now = now or datetime.now()
    runs.mkdir(parents=True, exist_ok=True)
    job = job_id()
    remove_stale(runs, name)
    staging = draft(runs, name)
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        (staging / "checkpoints").mkdir()
        files.write_yaml(staging / "config.yaml", config)
        while True:
            stamp = now.strftime("%Y%m%d-%H%M%S")
            path = runs / "-".join(part for part in (name, stamp, job) if part)
            try:
                staging.rename(path)
                return RunFolder(path)
            except OSError:
                if not path.exists():
                    raise
                now += timedelta(seconds=1)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_writable(folder: Path, place: str) -> None:
    """Whether files can be made in a folder, or where it will stand; nothing is left there.

    Raises:
        Refused: they cannot.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise Refused(
            f"{place}: nothing can be written to {folder} ({error.strerror}); "
            "name another folder, or change its permissions"
        ) from None


def replace_config(folder: RunFolder, config: Mapping[str, Any]) -> None:
    """A changed configuration in the place of the old one."""
    files.write_yaml(folder.config, config)


def discard(folder: RunFolder) -> None:
    """Remove a run that came to nothing, and the folder of runs when that leaves it empty."""
    shutil.rmtree(folder.path, ignore_errors=True)
    try:
        folder.path.parent.rmdir()
    except OSError:
        return


def runs_of(runs: Path, name: str | None = None) -> list[RunFolder]:
    """The runs of NAME, or all, oldest first."""
    if not runs.is_dir():
        return []
    found = []
    for path in runs.iterdir():
        match = _NAMED.fullmatch(path.name)
        if match and (path / "config.yaml").is_file() and name in (None, match["name"]):
            found.append((match["time"], path.name, path))
    return [RunFolder(path) for _, _, path in sorted(found)]


def find(target: str | Path | None, runs: Path = Path("runs")) -> RunFolder:
    """The run that was meant: a folder, a run's name in `runs`, or the newest of NAME.

    Raises:
        Refused: there is none; the message lists what there is.
    """
    if target is not None:
        for path in (Path(target), runs / str(target)):
            if (path / "config.yaml").is_file():
                return RunFolder(path)
    found = runs_of(runs, None if target is None else str(target))
    if found:
        return found[-1]
    names = sorted({folder.name for folder in runs_of(runs)})
    if not names:
        raise Refused(
            f"{target or runs}: there is no run in {runs}/; start one: shoal train CONFIG"
        )
    best = nearest(str(target), names)
    hint = f"did you mean `{best}`?" if best else "there are runs of " + ", ".join(names)
    raise Refused(f"{target}: neither a run's folder nor the name of one in {runs}/; {hint}")


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Nobody else works in this folder meanwhile.

    Raises:
        Refused: another process does.
    """
    handle = os.open(folder.path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"{folder.path}: another process is training this run; wait for it or stop it"
            ) from None
        _tidy(folder)
        yield
    finally:
        os.close(handle)


def _tidy(folder: RunFolder) -> None:
    """Removes what a killed process was about to put into a run that is now ours."""
    for left in (*folder.path.glob(".*"), *folder.checkpoints.glob(".draft-*")):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
