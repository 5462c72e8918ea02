"""Tables whose rows are observations of a series: a sample is the window that ends with a row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from shoal.data.errors import DataError
from shoal.data.sequences import Sequences, tidy
from shoal.data.times import natural_unit, parse_times, to_numbers
from shoal.sklearn.form import Form, names_of, place_of


def read_series(
    estimator: Any, X: Any, timespans: Any, form: Form | None
) -> tuple[Sequences, Form]:
    """For every row the window that ends with it, in the order of the rows.

    Args:
        estimator, form: as of `shoal.sklearn.inputs.read`.
        X: a table with a column of times, in any order.
        timespans: None; the column says them.
    """
    table: Any = X if hasattr(X, "iloc") else np.asarray(X)
    _check_table(table)
    validate_data(estimator, table, reset=form is None, skip_check_array=True)
    form = _form(estimator, table) if form is None else form
    x = _features(estimator, table, form)
    moments = _moments(_column(table, form.time), estimator.time_column)
    if moments.dtype.kind == "M" and form.unit is None:
        form = replace(form, unit=_unit(moments))
    owner = np.zeros(len(x), int)
    if form.series is not None:
        cells = [str(cell) for cell in _column(table, form.series)]
        owner = np.unique(cells, return_inverse=True)[1]
    return _windows(x, to_numbers(moments, form.unit), owner, form.window or 1), form


def _check_table(table: Any) -> None:
    if len(table.shape) != 2 or 0 in table.shape:
        raise ValueError(
            f"with a `time_column` X must be (observations, columns), got {table.shape}: give a "
            "DataFrame or a 2-D array"
        )


def _form(estimator: Any, table: Any) -> Form:
    """What the estimator's parameters say of the table's columns."""
    time, series = (place_of(estimator, name) for name in ("time_column", "series_column"))
    window = estimator.window
    if not (isinstance(window, int | np.integer) and window >= 1):
        raise ValueError(f"`window` must be a whole number from 1, got {window!r}")
    names = names_of(estimator, table.shape[1])
    features = tuple(name for i, name in enumerate(names) if i not in (time, series))
    return Form("series", features, time, series, int(window))


def _features(estimator: Any, table: Any, form: Form) -> np.ndarray:
    kept = [i for i in range(table.shape[1]) if i not in (form.time, form.series)]
    rest = table.iloc[:, kept] if hasattr(table, "iloc") else table[:, kept]
    options: Any = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}
    return check_array(rest, estimator=estimator, **options)


def _unit(moments: np.ndarray) -> str:
    """What elapsed times count, from the usual gap."""
    gaps = np.diff(np.unique(moments)) / np.timedelta64(1, "s")
    return natural_unit(float(np.median(gaps))) if len(gaps) else "second"


def _column(table: Any, place: int | None) -> np.ndarray:
    return table.iloc[:, place].to_numpy() if hasattr(table, "iloc") else table[:, place]


def _moments(column: np.ndarray, name: Any) -> np.ndarray:
    def fail(i: int, found: str, remedy: str) -> NoReturn:
        raise DataError(found, remedy, path="X", row=f"row {i}", column=str(name))

    numbers = column.dtype.kind in "iufM"
    return parse_times(column if numbers else np.asarray(column, object), None, fail)


def _windows(x: np.ndarray, times: np.ndarray, owner: np.ndarray, length: int) -> Sequences:
    """For every row the observations of its series up to it, at most `length`."""
    order = np.lexsort((np.arange(len(x)), times, owner))
    begins = np.flatnonzero(np.diff(owner[order], prepend=-1))
    first = begins[np.cumsum(np.isin(np.arange(len(x)), begins)) - 1]  # of the row's series
    ends = np.arange(len(x))
    starts = np.maximum(ends - length + 1, first)
    index = starts[:, None] + np.arange(min(length, int((ends - starts).max()) + 1))
    mask = index <= ends[:, None]
    index = np.minimum(index, len(x) - 1)
    before = np.maximum(index - 1, first[:, None])
    clock = times[order]
    spans = np.where(mask, clock[index] - clock[before], 0.0)
    back = np.argsort(order)
    made = Sequences(np.where(mask[..., None], x[order][index], np.nan), spans, mask, origin=clock)
    return tidy(made[back])
