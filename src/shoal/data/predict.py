"""New data through a saved schema: windows to predict from, with or without their answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from shoal.data.arrays import new_arrays, sequences_from_arrays
from shoal.data.errors import DataError
from shoal.data.files import as_arrays, read_table
from shoal.data.infer import too_few
from shoal.data.request import bases
from shoal.data.schema import Schema
from shoal.data.sequences import Sequences, tidy
from shoal.data.series import Series, split_series
from shoal.data.whole import answers, class_numbers, whole_series
from shoal.data.windows import last_windows, make_windows, with_base
from shoal.equations.scalers import last_observed


def windows_for_prediction(source: Any, schema: Schema, *, every_origin: bool = False) -> Sequences:
    """Raw sequences of a new table, without answers; its target columns may be absent.

    Args:
        source: whatever `prepare` takes.
        schema: what `prepare` returned.
        every_origin: to forecast, a window at every observation that has enough before it, in
            place of the last of each series.

    Raises:
        DataError: as `prepare`; a series too short for a window; a change target whose last
            value is nowhere in the window.

    >>> schema = Schema("forecast", "t", ("y",), ("y",), window=2, horizons=(1,), step=1.0)
    >>> table = {"t": [1.0, 2.0, 3.0], "y": [1.0, 4.0, 9.0]}
    >>> windows_for_prediction(table, schema).x[..., 0]
    array([[4., 9.]])
    """
    arrays = as_arrays(source)
    if schema.arrays:
        if arrays is None:
            raise DataError("this schema is of arrays x, y", "give an NPZ file, or arrays")
        return new_arrays(*_swap(arrays, schema))
    table = read_table(source)
    series = split_series(table, schema, with_targets=False)
    if schema.task != "forecast":
        return whole_series(series, schema, table.name)
    made = _made(series, schema, every_origin, table)
    _check_base(made, schema, table.name)
    return tidy(made)


def windows_for_evaluation(source: Any, schema: Schema, *, stride: int = 1) -> Sequences:
    """Raw sequences of a new table with their answers, at every `stride`-th origin.

    Raises:
        DataError: as `prepare`; a label that training did not know.

    >>> schema = Schema("forecast", "t", ("y",), ("y",), window=2, horizons=(1,), step=1.0)
    >>> table = {"t": [1.0, 2.0, 3.0], "y": [1.0, 4.0, 9.0]}
    >>> windows_for_evaluation(table, schema).y.ravel()
    array([9.])
    """
    if schema.arrays:
        return _arrays_with_answers(source, schema)
    table = read_table(source)
    for name in schema.targets:
        table.column(name, "targets")
    series = split_series(table, schema, with_targets=True)
    if schema.task == "forecast":
        made = with_base(make_windows(series, schema, stride=stride), bases(schema)).sequences
        if not len(made):
            raise too_few(table, schema, series)
        return tidy(made)
    y = answers(table, series, schema)
    if schema.task == "classification":
        y = class_numbers(y, schema.classes)
    return replace(whole_series(series, schema, table.name), y=y)


def _made(series: list[Series], schema: Schema, every_origin: bool, table: Any) -> Sequences:
    if not every_origin:
        return last_windows(series, schema, table.name)
    made = with_base(make_windows(series, schema), bases(schema)).sequences
    if not len(made):
        raise too_few(table, replace(schema, horizons=(0,)), series)
    return made


def _check_base(sequences: Sequences, schema: Schema, name: str) -> None:
    """A change needs a value to change from."""
    columns = bases(schema)
    if columns is None:
        return
    unknown = np.argwhere(np.isnan(last_observed(np, sequences.x, sequences.mask, columns)))
    if len(unknown) and sequences.series is not None:
        row, target = unknown[0]
        found = f"series {sequences.series[row]!r} has no value in its window to change from"
        remedy = "give rows with a value of the target"
        raise DataError(found, remedy, path=name, column=schema.targets[target])


def _swap(arrays: tuple[Any, str], schema: Schema) -> tuple[Any, Schema, str]:
    return arrays[0], schema, arrays[1]


def _arrays_with_answers(source: Any, schema: Schema) -> Sequences:
    arrays = as_arrays(source)
    if arrays is None:
        raise DataError("this schema is of arrays x, y", "give an NPZ file, or arrays")
    sequences, labels = sequences_from_arrays(arrays[0], schema.task, arrays[1])
    if labels is not None:
        sequences = replace(sequences, y=class_numbers(labels, schema.classes))
    return tidy(sequences)
