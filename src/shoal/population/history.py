"""What happened: one row per epoch and member that trained in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from shoal.population.stopping import NAMES

COLUMNS = ("train_loss", "valid_loss", "diversity", "learning_rate", "code", "worked", "aux_loss")
_PARTS = ("train_loss", "diversity", "aux_loss")  # of what is made small


@dataclass
class History:
    """Epochs as rows (epochs, members); `columns()` is the long table that users want."""

    seeds: tuple[int, ...]
    rows: dict[str, list[np.ndarray]] = field(default_factory=lambda: {c: [] for c in COLUMNS})
    seconds: list[float] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        return len(self.seconds)

    def add(self, seconds: float, **columns: np.ndarray) -> None:
        """One more epoch; every column has one value per member; `aux_loss` may be left out."""
        columns = {"aux_loss": np.zeros(len(self.seeds)), **columns}
        for name in COLUMNS:
            self.rows[name].append(np.array(columns[name]))
        self.seconds.append(seconds)

    def matrix(self, column: str) -> np.ndarray:
        """A column as (epochs, members), NaN where a member did not train."""
        return np.array(self.rows[column]).reshape(self.epochs, len(self.seeds))

    def columns(self) -> dict[str, np.ndarray]:
        """epoch, member, seed, losses, learning_rate, status, seconds.

        `train_loss` and `valid_loss` are the member's own; in training its regime adds `diversity`
        and its own modules `aux_loss`, which makes `total_loss`.
        """
        worked = self.matrix("worked").astype(bool)
        epoch, member = np.nonzero(worked)
        names = np.array(NAMES)
        return {
            "epoch": epoch,
            "member": member,
            "seed": np.array(self.seeds, np.int64)[member],
            "train_loss": self.matrix("train_loss")[worked],
            "valid_loss": self.matrix("valid_loss")[worked],
            "diversity": self.matrix("diversity")[worked],
            "aux_loss": self.matrix("aux_loss")[worked],
            "total_loss": np.sum([self.matrix(name)[worked] for name in _PARTS], axis=0),
            "learning_rate": self.matrix("learning_rate")[worked],
            "status": names[self.matrix("code").astype(int)[worked]],
            "seconds": np.array(self.seconds)[epoch],
        }

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.columns())

    def to_parquet(self, path: str | Path) -> None:
        """The table as a Parquet file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {name: pa.array(column) for name, column in self.columns().items()}
        pq.write_table(pa.table(columns), path)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All of it as arrays, for a checkpoint."""
        return {**{c: self.matrix(c) for c in COLUMNS}, "seconds": np.array(self.seconds)}

    @classmethod
    def from_arrays(cls, seeds: tuple[int, ...], arrays: dict[str, np.ndarray]) -> History:
        """The inverse of `to_arrays`."""
        unknown = np.full_like(arrays["train_loss"], np.nan)  # of a column that is newer
        rows = {c: [np.array(row) for row in arrays.get(c, unknown)] for c in COLUMNS}
        return cls(seeds, rows, arrays["seconds"].tolist())
