"""Files that are replaced as one set.

The new set is written to a folder beside; once it is whole and on the disk, that folder is renamed
to `.KEY.ready`, and its files are moved into place. A process killed before the rename changed
nothing; killed after it, the next replacement (or `finish`) completes the move, so that no mixture
stays.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoal.bundle import files
from shoal.bundle.manifest import BundleError
from shoal.bundle.metadata import plain


def check_name(name: str) -> None:
    """Refuses what cannot begin a file's name."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise BundleError(
            f"`name` must be letters, digits, '_', '-' and '.', not beginning with '.' or '-', "
            f"got {name!r}"
        )


def parts_of(numbers: Sequence[int], n_models: int, best: int, every: bool) -> dict[str, int]:
    """The place of the member that each part of a set, "best" or "ensemble_3", is of.

    Raises:
        BundleError: the best is none of the members, or they have not one number each.
    """
    if len(numbers) != n_models or best not in numbers:
        raise BundleError(
            f"the {n_models} members are called {list(numbers)}; the best, {best}, must be of them"
        )
    parts = {"best": list(numbers).index(best)}
    if every:
        parts |= {f"ensemble_{number}": place for place, number in enumerate(numbers)}
    return parts


@dataclass(frozen=True)
class FileSet:
    """The files of one set in a folder.

    Args:
        folder: where they lie.
        key: names the hidden folders that they pass through.
        pattern: of the files' names, whole.
        record: the file that lists them, moved last; one that begins with "." is not kept.
    """

    folder: Path
    key: str
    pattern: re.Pattern[str]
    record: str

    def replace(
        self,
        contents: Callable[[], Iterable[tuple[str, bytes]]],
        facts: Mapping[str, Any] | None = None,
    ) -> list[Path]:
        """Writes the new set, of names and bytes, in place of the old one.

        Returns:
            Its files. Where anything is raised the old set is as it was.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with files.alone(self.folder):
            self.finish()
        files.remove_stale(self.folder, self.key)
        draft = files.draft(self.folder, self.key)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        try:
            entries = {file: files.write(draft / file, data) for file, data in contents()}
            text = json.dumps(plain({**(facts or {}), "files": entries}), indent=2, allow_nan=False)
            files.write(draft / self.record, (text + "\n").encode())
            files.flush(draft)
            with files.alone(self.folder):
                self.finish()  # of a process that was killed meanwhile
                draft.rename(self._ready)
                self.finish()
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        kept = () if self.record.startswith(".") else (self.record,)
        return [self.folder / file for file in (*entries, *kept)]

    def finish(self) -> None:
        """Moves a set that is whole into place, and removes what only the old one had."""
        if not self._ready.is_dir():
            return
        record = self._ready / self.record
        if record.exists():  # else only the last line is left to do
            listed = set(json.loads(record.read_text())["files"])
            for file in self._ready.iterdir():
                if file.name != self.record:
                    file.replace(self.folder / file.name)
            for file in list(self.folder.iterdir()):
                if self.pattern.fullmatch(file.name) and file.name not in listed:
                    file.unlink(missing_ok=True)
            if self.record.startswith("."):
                record.unlink()
            else:
                record.replace(self.folder / self.record)
            files.flush(self.folder)
        self._ready.rmdir()

    @property
    def _ready(self) -> Path:
        return self.folder / f".{self.key}.ready"
