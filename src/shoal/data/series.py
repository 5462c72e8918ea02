"""Series: the table's rows as observations in time, one series each, checked.

A row whose features are all missing is no observation: it is dropped, and what remains of it is
the time that passes until the next. Its targets still count as answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from shoal.data.calendar import waves
from shoal.data.errors import DataError
from shoal.data.schema import Schema
from shoal.data.table import Table
from shoal.data.times import to_numbers


@dataclass(frozen=True)
class Series:
    """One series.

    Args:
        name: its name; "" where the table holds one series without a name.
        times: (n,) of every row, increasing.
        x: (n, features) with the calendar's columns, NaN where missing.
        y: (n, targets), NaN where missing; None for labels or where there are no targets.
        observed: (n,) True where the row is an observation.
        rows: (n,) which row of the table.
    """

    name: str
    times: np.ndarray
    x: np.ndarray
    y: np.ndarray | None
    observed: np.ndarray
    rows: np.ndarray

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"series {self.name!r}" if self.name else "the table"


def times_of(table: Table, schema: Schema) -> np.ndarray:
    """(n,) the time of each row: datetime64, or float64; the row's number without a time column."""
    if schema.time is None:
        return np.arange(len(table), dtype=np.float64)
    return table.times(schema.time, schema.time_format)


def split_series(table: Table, schema: Schema, *, with_targets: bool) -> list[Series]:
    """The table's series in the order of their first rows.

    Raises:
        DataError: cells that cannot be read, times that do not increase within a series.
    """
    moments = times_of(table, schema)
    _check_kind(table, schema, moments)
    times = to_numbers(moments, schema.time_unit)
    x = np.stack([table.numbers(name) for name in schema.features], axis=1)
    observed = np.logical_not(np.isnan(x).all(axis=1))
    if schema.calendar:
        x = np.concatenate([x, waves(times, str(schema.time_unit), schema.calendar)], axis=1)
    y = None
    if with_targets and schema.task != "classification":
        y = np.stack([table.numbers(name, "targets") for name in schema.targets], axis=1)
    groups = rows_by_series(table, schema.series)
    for rows in groups.values():
        _check_order(table, schema, moments, rows)
    return [
        Series(name, times[rows], x[rows], None if y is None else y[rows], observed[rows], rows)
        for name, rows in groups.items()
    ]


def rows_by_series(table: Table, series: str | None) -> dict[str, np.ndarray]:
    """The rows of each series, in the order of the table.

    Raises:
        DataError: a row that belongs to no series.
    """
    if series is None:
        return {"": np.arange(len(table))}
    names = table.labels(series, "series")
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if name is None:
            table.fail(series)(i, "the series has no name", "name the series of every row")
        groups.setdefault(name, []).append(i)
    return {name: np.array(rows) for name, rows in groups.items()}


def _check_kind(table: Table, schema: Schema, moments: np.ndarray) -> None:
    if (moments.dtype.kind == "M") != schema.is_date:
        want, got = ("dates", "numbers") if schema.is_date else ("numbers", "dates")
        found = f"{got} where the training data had {want}"
        raise DataError(found, f"write {want}", path=table.name, column=schema.time)


def _check_order(table: Table, schema: Schema, moments: np.ndarray, rows: np.ndarray) -> None:
    """Times increase strictly within a series."""
    bad = np.flatnonzero(np.less_equal(moments[rows][1:], moments[rows][:-1]))
    if not len(bad):
        return
    before, now = int(rows[bad[0]]), int(rows[bad[0] + 1])
    _refuse_order(table, schema, now, moments[now], moments[before], table.place(before))


def _refuse_order(
    table: Table, schema: Schema, row: int, now: Any, before: Any, place: str
) -> NoReturn:
    which, fail = "", table.fail(schema.time)
    several = "; if the table holds several series, name their column as `series`"
    if schema.series is not None:
        which, several = f" of series {table.columns[schema.series][row]!r}", ""
    if now == before:
        fail(row, f"{plain(now)} stands already in {place}{which}", f"keep one of them{several}")
    fail(row, f"{plain(now)} is before {plain(before)} in {place}{which}", "sort the rows by time")


def plain(moment: Any) -> str:
    """A time as people write it.

    >>> plain(np.datetime64("2001-12-29T00:00:00.000")), plain(2.0)
    ('2001-12-29', '2')
    """
    if isinstance(moment, np.datetime64):
        text = str(moment.astype("datetime64[ms]"))
        return text.removesuffix(".000").removesuffix("T00:00:00")
    return f"{moment:.10g}"
