"""How data are refused: one error that names the place, what was found there, and the remedy.

co2.csv, line 17, column 'co2': 'abc' is not a number; write a number, or leave the cell empty
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DataError(ValueError):
    """Data, or a request made of them, that cannot be used.

    Args:
        found: what is wrong, with the value found.
        remedy: what to do about it.
        path: the file, or any name of the data.
        row: where in it, in words: "line 17" of a text file, "row 16" elsewhere.
        column: the column's name.

    >>> print(DataError("'abc' is not a number", "write a number", path="a.csv", row="line 2"))
    a.csv, line 2: 'abc' is not a number; write a number
    """

    def __init__(
        self,
        found: str,
        remedy: str = "",
        *,
        path: object = None,
        row: str | None = None,
        column: str | None = None,
    ):
        self.found, self.remedy = found, remedy
        self.path, self.row, self.column = path, row, column
        super().__init__(found)

    def __str__(self) -> str:
        column = None if self.column is None else f"column {self.column!r}"
        place = ", ".join(str(part) for part in (self.path, self.row, column) if part is not None)
        message = self.found if not self.remedy else f"{self.found}; {self.remedy}"
        return f"{place}: {message}" if place else message


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the known name most like `name`, or else all of them.

    >>> nearest("co22", ["date", "co2"])
    "did you mean 'co2'?"
    >>> nearest("x", ["date", "co2"])
    "known are 'date', 'co2'"
    """
    known = list(known)
    folded = {other.casefold(): other for other in known}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    if close:
        return f"did you mean {folded[close[0]]!r}?"
    return "known are " + ", ".join(repr(other) for other in known)
