"""Reading files: CSV, Parquet and NPZ, by their extension, and nothing that could run code."""

from __future__ import annotations

import csv
import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shoal.data.errors import DataError
from shoal.data.table import Table

EXTENSIONS = (".csv", ".tsv", ".parquet", ".pq", ".npz")


def read_table(source: Any) -> Table:
    """A table from a CSV, TSV or Parquet file, a data frame, or a mapping of columns.

    Text files are UTF-8 with a header; cells are separated by commas, semicolons or tabs. Empty
    cells, NA, NaN, N/A, null and None are missing.

    Raises:
        DataError: whatever keeps it from being read, with its line.

    >>> len(read_table({"t": [1, 2, 3], "y": [0.1, None, 0.3]}))
    3
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, str | os.PathLike):
        path = existing_file(source)
        if path.suffix.lower() == ".npz":
            remedy = "give a CSV, TSV or Parquet file; prepare takes arrays"
            raise DataError("NPZ holds arrays, no table", remedy, path=path)
        return _parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _text(path)
    if hasattr(source, "columns") and hasattr(source, "index"):
        return _frame(source)
    if not isinstance(source, Mapping):
        kinds = "a file's path, a data frame, or a mapping of columns"
        raise DataError(f"cannot read a table from {type(source).__name__}", f"give {kinds}")
    return Table.of(source)


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of an NPZ file. Objects are never unpickled.

    Raises:
        DataError: no NPZ file, or an array of objects in it.
    """
    path, arrays = existing_file(path), {}
    if not zipfile.is_zipfile(path):
        raise DataError("not a readable NPZ file", "write it with numpy.savez", path=path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                arrays[name] = archive[name]
    except ValueError as error:
        if "pickle" not in str(error) and "Object" not in str(error):
            raise DataError(f"not a readable NPZ file ({error})", path=path) from None
        remedy = "save plain numbers or text; objects are never unpickled"
        raise DataError("holds Python objects", remedy, path=path) from None
    except Exception as error:  # numpy and zipfile raise many kinds for a broken archive
        found = f"not a readable NPZ file ({type(error).__name__}: {error})"
        raise DataError(found, "write it again with numpy.savez", path=path) from None
    return arrays


def as_arrays(source: Any) -> tuple[Mapping[str, Any], str] | None:
    """The arrays and their name, where the source holds sequences and no table; else None."""
    if isinstance(source, str | os.PathLike):
        path = existing_file(source)
        return (read_arrays(path), str(path)) if path.suffix.lower() == ".npz" else None
    if isinstance(source, Mapping) and "x" in source and np.ndim(source["x"]) == 3:
        return source, "arrays"
    return None


def content_hash(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with existing_file(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def existing_file(path: str | os.PathLike) -> Path:
    """The path of a file of a kind that can be read.

    Raises:
        DataError: nothing there, a folder, an unknown extension, or an empty file.
    """
    path = Path(path)
    if not path.exists():
        raise DataError("there is no such file", _similar(path), path=path)
    if path.is_dir():
        raise DataError("this is a folder", "name one file in it", path=path)
    if path.suffix.lower() not in EXTENSIONS:
        known = ", ".join(EXTENSIONS)
        raise DataError(f"cannot read the extension {path.suffix!r}", f"use {known}", path=path)
    if not os.access(path, os.R_OK):
        raise DataError("the file may not be read", "check its permissions", path=path)
    if path.stat().st_size == 0:
        raise DataError("the file is empty", "write a header and rows", path=path)
    return path


def _similar(path: Path) -> str:
    import difflib

    try:
        names = [p.name for p in path.parent.iterdir() if p.suffix.lower() in EXTENSIONS]
    except OSError:
        return f"the folder {path.parent} does not exist either"
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else "check the path"


def _text(path: Path) -> Table:
    """Every row must have as many cells as the header; blank lines are passed over."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            header, rows, lines = _rows(path, csv.reader(file, delimiter=delimiter, strict=True))
    except UnicodeDecodeError as error:
        found = f"not UTF-8 text (byte {error.object[error.start]:#04x})"
        raise DataError(found, "save it as a UTF-8 CSV file", path=path) from None
    columns = [np.array(cells, object) for cells in zip(*rows, strict=True)]
    return Table(str(path), dict(zip(header, columns, strict=True)), np.array(lines), "line")


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _rows(path: Path, reader: Any) -> tuple[list[str], list[list[str]], list[int]]:
    header, rows, lines = None, [], []
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            found = f"not readable as CSV ({error})"
            raise DataError(found, "check its quotes", path=path, row=f"line {start}") from None
        if cells is None:
            break
        blank = not any(cell.strip() for cell in cells)
        if blank and (header is None or len(cells) != len(header)):
            continue
        if any("\0" in cell for cell in cells):
            raise DataError("not a text file", "save it as CSV", path=path, row=f"line {start}")
        if header is None:
            header = _header(path, cells, start)
            continue
        if len(cells) != len(header):
            found = f"has {len(cells)} cells where the header has {len(header)}"
            remedy = "quote cells that hold the separator, and leave empty cells empty"
            raise DataError(found, remedy, path=path, row=f"line {start}")
        rows.append(cells)
        lines.append(start)
    if header is None or not rows:
        raise DataError("there is no row below the header", "add data", path=path)
    return header, rows, lines


def _header(path: object, cells: list[str], line: int | None = None) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        found = f"the header names {twice[0]!r} twice"
        row = None if line is None else f"line {line}"
        raise DataError(found, "give each column its own name", path=path, row=row)
    return names


def _parquet(path: Path) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        found = f"not a readable Parquet file ({str(error).splitlines()[0]})"
        raise DataError(found, "write it again", path=path) from None
    if not table.num_rows:
        raise DataError("there is no row", "add data", path=path)
    _header(path, list(table.column_names))
    columns = dict(zip(table.column_names, (_arrow(c) for c in table.columns), strict=True))
    return Table.of(columns, name=str(path))


def _arrow(column: Any) -> np.ndarray:
    import pyarrow

    if pyarrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.to_numpy()


def _frame(frame: Any) -> Table:
    if frame.index.name is not None and frame.index.name not in frame.columns:
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]
    _header("data frame", names)
    columns = {name: frame.iloc[:, i].to_numpy() for i, name in enumerate(names)}
    table = Table.of(columns, name="data frame")
    if not len(table):
        raise DataError("there is no row", "add data", path="data frame")
    return table
