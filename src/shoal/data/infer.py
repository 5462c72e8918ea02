"""What a table says of time: dates or numbers, their unit, the usual gap; and how rows suffice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shoal.data.errors import DataError
from shoal.data.request import check_columns
from shoal.data.schema import Schema
from shoal.data.series import Series, split_series, times_of
from shoal.data.table import Table
from shoal.data.times import SECONDS, natural_unit
from shoal.data.windows import fewest


def infer(table: Table, schema: Schema) -> tuple[Schema, list[Series]]:
    """The schema with what the table says of time, and the table's series.

    Raises:
        DataError: columns, cells or times that cannot be used.
    """
    check_columns(table, schema.time, schema.features, schema.targets, schema.series, schema.task)
    _check_window(schema)
    is_date = times_of(table, schema).dtype.kind == "M"
    if schema.calendar and not is_date:
        raise DataError(
            "`calendar` needs dates, but times are numbers",
            "name a time column of dates, or leave `calendar` out",
            path=table.name,
            column=schema.time,
        )
    known = replace(schema, is_date=is_date)
    counted = replace(known, time_unit=schema.time_unit or ("second" if is_date else None))
    series = split_series(table, counted, with_targets=True)
    gap = _usual_gap(series)
    if is_date and schema.time_unit is None:
        unit = natural_unit(gap or 1.0)
        series = [replace(one, times=one.times / SECONDS[unit]) for one in series]
        counted, gap = replace(known, time_unit=unit), gap and gap / SECONDS[unit]
    if schema.task == "forecast" and gap is None:
        raise too_few(table, counted, series)
    return replace(counted, step=schema.step or gap), series


def _usual_gap(series: list[Series]) -> float | None:
    """The mean of the gaps near the median: exact for weeks, and right on average for months."""
    gaps = np.concatenate([np.diff(one.times[one.observed]) for one in series])
    if not len(gaps):
        return None
    median = np.median(gaps)
    near = gaps[np.abs(gaps - median) <= 0.5 * median]
    return float(median if np.ptp(near) <= 1e-6 * median else near.mean())


def _check_window(schema: Schema) -> None:
    if schema.task != "forecast":
        return
    if schema.window is None:
        raise DataError("`window` is missing", "say how many observations a forecast is made from")
    if schema.min_window is not None and schema.min_window > schema.window:
        found = f"`min_window` is {schema.min_window}, `window` {schema.window}"
        raise DataError(found, "the shortest window cannot be longer than the longest")


def too_few(table: Table, schema: Schema, series: list[Series]) -> DataError:
    """The refusal of a table that is shorter than one window and its forecast."""
    longest = max(int(one.observed.sum()) for one in series)
    window, ahead = fewest(schema), schema.horizons[-1]
    found = f"too few rows: a window of {window} and a forecast {ahead} steps ahead need "
    found += f"{window + ahead} rows in a series, the longest has {longest} observations"
    remedy = "give more rows, or shorten `window` or `horizon`"
    return DataError(found, remedy, path=table.name)


def check_targets(table: Table, schema: Schema, series: list[Series]) -> None:
    """Refuses a target that is empty throughout."""
    for d, name in enumerate(schema.targets):
        if all(np.isnan(one.y[:, d]).all() for one in series if one.y is not None):
            found, remedy = "the target has no value at all", "check the column"
            raise DataError(found, remedy, path=table.name, column=name)
