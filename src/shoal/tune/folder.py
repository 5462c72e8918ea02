"""The folder of one search: `runs/NAME-tune-TIME[-JOBID]/`, like a run's, and how it is found.

tune.yaml        what was asked, the data's path made absolute
study.journal    Optuna's study, unless it is kept elsewhere
trials.csv       the table, also as trials.parquet
best.yaml        the best configuration; `shoal train` takes it
comparison.json  held-out figures, where they were asked for
members/         of the trials, where a crowd is chosen from them: bundle/
report.html      how it went, to look at
search.json      what the search knows of itself
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from shoal.run import files
from shoal.run.errors import Refused, nearest
from shoal.run.folder import job_id

_NAMED = re.compile(r"(?P<name>.+)-tune-(?P<time>\d{8}-\d{6})(-(?P<job>[^/]+))?")


@dataclass(frozen=True)
class TuneFolder:
    """Where the parts of a search lie; nothing is read or written by naming them."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "tune.yaml"

    @property
    def journal(self) -> Path:
        return self.path / "study.journal"

    @property
    def table(self) -> Path:
        return self.path / "trials.csv"

    @property
    def parquet(self) -> Path:
        return self.path / "trials.parquet"

    @property
    def best(self) -> Path:
        return self.path / "best.yaml"

    @property
    def comparison(self) -> Path:
        return self.path / "comparison.json"

    @property
    def members(self) -> Path:
        return self.path / "members"

    @property
    def bundle(self) -> Path:
        return self.path / "bundle"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def record(self) -> Path:
        return self.path / "search.json"

    @property
    def checkpoints(self) -> Path:
        """Searches have none; a lock looks for what was left there."""
        return self.path / "checkpoints"

    def read_record(self) -> dict[str, Any]:
        """What the search knows of itself; empty before anything is known."""
        return json.loads(self.record.read_text()) if self.record.is_file() else {}

    def write_record(self, **changes: Any) -> None:
        """Adds to what it knows."""
        files.write_json(self.record, {**self.read_record(), **changes})


def create(runs: Path, name: str, data: Mapping[str, Any]) -> TuneFolder:
    """A new folder with its `tune.yaml`, under a name that nobody has."""
    now, job = datetime.now(), job_id()
    runs.mkdir(parents=True, exist_ok=True)
    while True:
        stamp = now.strftime("%Y%m%d-%H%M%S")
        path = runs / "-".join(part for part in (name, "tune", stamp, job) if part)
        try:
            path.mkdir()
        except FileExistsError:
            now += timedelta(seconds=1)
            continue
        found = TuneFolder(path)
        files.write_yaml(found.config, data)
        return found


def searches_of(runs: Path, name: str | None = None) -> list[TuneFolder]:
    """The searches of NAME, or all, oldest first."""
    if not runs.is_dir():
        return []
    found = []
    for path in runs.iterdir():
        match = _NAMED.fullmatch(path.name)
        if match and (path / "tune.yaml").is_file() and name in (None, match["name"]):
            found.append((match["time"], path.name, path))
    return [TuneFolder(path) for _, _, path in sorted(found)]


def find(target: str | Path | None, runs: Path = Path("runs")) -> TuneFolder:
    """The search that was meant: a folder, a folder's name in `runs`, or the newest of NAME.

    Raises:
        Refused: there is none; the message lists what there is.
    """
    if target is not None:
        for path in (Path(target), runs / str(target)):
            if (path / "tune.yaml").is_file():
                return TuneFolder(path)
    found = searches_of(runs, None if target is None else str(target))
    if found:
        return found[-1]
    names = sorted({_name(folder) for folder in searches_of(runs)})
    if not names:
        raise Refused(
            f"{target or runs}: there is no search in {runs}/; start one: shoal tune CONFIG"
        )
    best = nearest(str(target), names)
    hint = f"did you mean `{best}`?" if best else "there are searches of " + ", ".join(names)
    raise Refused(f"{target}: neither a search's folder nor the name of one in {runs}/; {hint}")


def _name(folder: TuneFolder) -> str:
    match = _NAMED.fullmatch(folder.path.name)
    return match["name"] if match else folder.path.name
