"""A table: named columns as they were read, and where each row stands in its file.

Cells are interpreted only when a column is asked for as numbers, times or labels; whatever cannot
be interpreted is refused with its row and column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from shoal.data.errors import DataError, nearest
from shoal.data.times import parse_times

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "<na>", "nat"})


@dataclass(frozen=True)
class Table:
    """Columns of one length.

    Args:
        name: the file's name, for messages.
        columns: by name; text, numbers or datetime64.
        rows: the number of each row in its file, from 1.
        row_word: "line" for text files, whose header is line 1, else "row".

    >>> table = Table.of({"t": [1.0, 2.0], "y": ["3", ""]})
    >>> table.numbers("y"), table.place(1)
    (array([ 3., nan]), 'row 2')
    """

    name: str
    columns: Mapping[str, np.ndarray]
    rows: np.ndarray = field(repr=False)
    row_word: str = "row"

    @classmethod
    def of(cls, columns: Mapping[str, Any], name: str = "table") -> Table:
        """A table of arrays or lists."""
        arrays = {str(key): _column(values) for key, values in columns.items()}
        lengths = {key: len(values) for key, values in arrays.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"columns differ in length: {lengths}", path=name)
        return cls(name, arrays, np.arange(1, max(lengths.values(), default=0) + 1))

    def __len__(self) -> int:
        return len(self.rows)

    def place(self, i: int) -> str:
        """Where row i stands, in words."""
        return f"{self.row_word} {self.rows[i]}"

    def fail(self, column: str | None, index: np.ndarray | None = None) -> Callable[..., NoReturn]:
        """`fail(i, found, remedy)` for this column; `index` maps i to the table's row."""

        def fail(i: int, found: str, remedy: str = "") -> NoReturn:
            row = self.place(int(i if index is None else index[i]))
            raise DataError(found, remedy, path=self.name, row=row, column=column)

        return fail

    def column(self, name: str, argument: str = "columns") -> np.ndarray:
        """The cells of a column as they were read.

        Raises:
            DataError: there is no such column; the nearest name is offered.
        """
        if name not in self.columns:
            found = f"`{argument}` names {name!r}, which is no column"
            raise DataError(found, nearest(str(name), self.columns), path=self.name)
        return self.columns[name]

    def numbers(self, name: str, argument: str = "features") -> np.ndarray:
        """The column as float64, NaN where a cell is empty.

        Raises:
            DataError: a cell that is no number, or infinite.
        """
        cells, fail = self.column(name, argument), self.fail(name)
        if cells.dtype.kind in "iufb":
            values = cells.astype(np.float64)
        elif cells.dtype.kind in "OU":
            values = _numbers(cells, fail)
        else:
            remedy = "dates are for `time`; use `calendar` for features of the date"
            fail(0, f"{cells[0]} is not a number", remedy)
        bad = np.flatnonzero(np.isinf(values))
        if len(bad):
            fail(bad[0], f"{cells[bad[0]]} is infinite", "correct it, or leave the cell empty")
        return values

    def times(self, name: str, time_format: str | None = None) -> np.ndarray:
        """The column as datetime64[ns] or, where it holds numbers, float64."""
        return parse_times(self.column(name, "time"), time_format, self.fail(name))

    def labels(self, name: str, argument: str = "targets") -> np.ndarray:
        """The column as text, numbers as such ("2" for 2.0); None where a cell is empty."""
        cells = self.column(name, argument)
        return np.array([_label(cell) for cell in cells] or [""], object)[: len(cells)]


def _column(values: Any) -> np.ndarray:
    array = np.asarray(values)
    return array if array.dtype.kind in "iufbM" else np.asarray(values, object)


def _numbers(cells: np.ndarray, fail: Callable[..., NoReturn]) -> np.ndarray:
    try:
        return np.where(cells == "", "nan", cells).astype(np.float64)  # at the speed of C
    except (TypeError, ValueError):
        return np.array([_number(cell, i, fail) for i, cell in enumerate(cells)], np.float64)


def _number(cell: Any, i: int, fail: Callable[..., NoReturn]) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        text = "" if cell is None else str(cell).strip()
    if text.casefold() in MISSING:
        return np.nan
    remedy = "write a number, or leave the cell empty"
    if "," in text and "." not in text:
        remedy = "write a point for the decimal"
    return fail(i, f"{text!r} is not a number", remedy)


def _label(cell: Any) -> str | None:
    if isinstance(cell, float | np.floating):
        return None if np.isnan(cell) else str(int(cell) if cell == int(cell) else float(cell))
    text = "" if cell is None else str(cell).strip()
    return None if text.casefold() in MISSING else text
