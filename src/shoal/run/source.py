"""What commands are pointed at: a run, the NAME of runs, or a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.run.checking import check
from shoal.run.errors import Refused, refusing
from shoal.run.folder import RunFolder, find
from shoal.run.reading import read
from shoal.run.schema import Config

if TYPE_CHECKING:
    from shoal.collective import Collective

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Source:
    """A bundle, and the run it came from where that is known."""

    bundle: Path
    run: RunFolder | None = None

    def config(self) -> Config:
        """The run's configuration.

        Raises:
            Refused: a bundle alone has none.
        """
        if self.run is None:
            raise Refused(f"{self.bundle}: is a bundle, which has no configuration; name its run")
        return check(read(self.run.config))

    def load(self) -> Collective:
        """The collective in the bundle.

        Raises:
            Refused: the run has no bundle yet, or the bundle cannot be read.
        """
        if not (self.bundle / MANIFEST).is_file():
            raise Refused(
                f"{self.bundle}: there is no bundle yet; "
                f"finish the run with: shoal train --resume {self.bundle.parent}"
            )
        from shoal.bundle import load

        with refusing(str(self.bundle)):
            return load(self.bundle)


def find_source(path: str | Path, runs: Path = Path("runs")) -> Source:
    """The bundle at a path, or of the run at a path, or of the newest run of a NAME.

    Raises:
        Refused: there is nothing of that kind.
    """
    path = Path(path)
    if (path / MANIFEST).is_file():
        run = RunFolder(path.parent) if (path.parent / "config.yaml").is_file() else None
        return Source(path, run)
    if path.is_file():
        raise Refused(f"{path}: is a file; name a run's folder, the NAME of runs, or a bundle")
    if path.is_dir() and not (path / "config.yaml").is_file():
        raise Refused(
            f"{path}: is neither a run (it has no config.yaml) nor a bundle (no {MANIFEST})"
        )
    run = find(path, runs)
    return Source(run.bundle, run)
