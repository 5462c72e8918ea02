"""From a file to what a population is trained on: sequences in blocks, their scaling, a schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from shoal.data import splits
from shoal.data.calendar import parse_calendar
from shoal.data.errors import DataError
from shoal.data.files import as_arrays, read_table
from shoal.data.infer import check_targets, infer, too_few
from shoal.data.prepare_arrays import prepare_arrays
from shoal.data.prepared import Prepared, assembled, scaling_of
from shoal.data.request import (
    TASKS,
    TRANSFORMS,
    bases,
    check_choice,
    check_count,
    check_step,
    names,
    parse_horizon,
    refuse_for_arrays,
)
from shoal.data.schema import Schema
from shoal.data.sequences import tidy
from shoal.data.series import Series
from shoal.data.table import Table
from shoal.data.times import check_unit
from shoal.data.whole import answers, check_classes, class_numbers, class_order, whole_series
from shoal.data.windows import fewest, make_windows, with_base


def prepare(
    source: Any,
    *,
    time: str | None = None,
    features: Sequence[str] | str | None = None,
    targets: Sequence[str] | str | None = None,
    series: str | None = None,
    task: str = "forecast",
    window: int | None = None,
    min_window: int | None = None,
    window_every: int = 1,
    horizon: int | Sequence[int] = 1,
    step: float | None = None,
    stride: int = 1,
    target_transform: str = "level",
    input_transform: str = "level",
    calendar: Sequence[str] | Mapping[str, int] = (),
    harmonics: int = 1,
    split: Mapping[str, Any] | None = None,
    time_unit: str | None = None,
    time_format: str | None = None,
    label: str = "constant",
    missing: str = "auto",
) -> Prepared:
    """Read, check, cut, split, and fit the scaling.

    Args:
        source: a CSV, TSV, Parquet or NPZ file; a data frame; a mapping of columns; or a mapping
            of arrays x, y (and timespans, mask, y_mask).
        time: the column of dates or numbers; without it rows are one unit of time apart.
        features: the columns that members read.
        targets: the columns that they answer.
        series: the column that names the series, where there are several.
        task: "forecast", "regression" or "classification".
        window: observations in a window; for whole series their last `window` (default all).
        window_every: keep every n-th observation, back from the window's last: a long
            memory at the price of a short one. Timespans are those between the observations kept.
        min_window: at the start of a series, shorter windows of at least so many observations,
            padded; by default there are none.
        horizon: forecast 1 to `horizon` steps ahead, or the steps listed.
        step: the length of a step in `time_unit`; by default the usual gap between observations
            (the mean of the gaps within half a median of the median).
        stride: take every `stride`-th origin.
        target_transform: "level", or "change" since the last value observed in the window.
        input_transform: what members read of each feature: its "level", or its "change" from the
            last value observed in the window, which is blind to how high a series has drifted.
        calendar: cycles of "year", "week", "day" that add sine and cosine columns to x.
        harmonics: how many waves each cycle has; or give `calendar` as {"year": 2}.
        split: see `shoal.data.splits`.
        time_unit: the unit of dates' timespans, "millisecond" to "year"; by default the largest,
            up to a week, that is not longer than the usual gap.
        time_format: how dates are written (`strptime`), where it is not ISO 8601.
        label: of whole series, "constant" or the "last" row's.
        missing: "auto": features that are missing somewhere in training get an indicator and an
            age; "always": all do.

    Raises:
        DataError: data or requests that cannot be used, with the row, the column and a remedy.

    >>> t = np.arange(40.0)
    >>> made = prepare({"t": t, "y": np.sin(t)}, time="t", features="y", targets="y", window=5)
    >>> made.train.x.shape, made.train.y.shape, made.schema.step
    ((19, 5, 1), (19, 1, 1), 1.0)
    """
    check_choice("task", task, TASKS)
    check_choice("target_transform", target_transform, TRANSFORMS)
    check_choice("input_transform", input_transform, TRANSFORMS)
    check_choice("label", label, ("constant", "last"))
    check_choice("missing", missing, ("auto", "always"))
    counts = {"window": window, "min_window": min_window}
    for name, value in (counts | {"stride": stride, "window_every": window_every}).items():
        check_count(name, value)
    check_step(step)
    check_unit(time_unit)
    if target_transform == "change" and task != "forecast":
        raise DataError("`target_transform` 'change' is for forecasts", "use 'level'")
    arrays = as_arrays(source)
    if arrays is not None:
        asked = {"window": window, "min_window": min_window, "series": series, "step": step}
        asked |= {"window_every": window_every > 1, "stride": stride > 1, "calendar": calendar}
        refuse_for_arrays(asked | {"input_transform": input_transform == "change"})
        return prepare_arrays(*arrays, task, features, targets, target_transform, split, missing)
    schema = Schema(
        task=task,
        time=time,
        features=names("features", features),
        targets=names("targets", targets),
        series=series,
        time_unit=time_unit,
        time_format=time_format,
        calendar=parse_calendar(calendar, harmonics),
        window=window,
        min_window=min_window,
        window_every=window_every,
        horizons=parse_horizon(horizon) if task == "forecast" else (),
        step=step,
        target_transform=target_transform,
        input_transform=input_transform,
        label=label,
    )
    table = read_table(source)
    schema, found = infer(table, schema)
    cut = _forecast if task == "forecast" else _whole
    return cut(table, schema, found, split, stride, missing)


def _forecast(
    table: Table, schema: Schema, series: list[Series], split: Any, stride: int, missing: str
) -> Prepared:
    check_targets(table, schema, series)
    change_of = bases(schema)
    every = make_windows(series, schema, stride=stride)
    windows = with_base(every, change_of)
    if not len(windows.sequences):
        raise too_few(table, schema, series)
    rows = splits.split_windows(windows, series, schema, split)
    blocks = {name: tidy(windows.sequences[chosen]) for name, chosen in rows.items()}
    scaling = scaling_of(blocks["train"], schema, change_of, missing, table.name)
    notes = _notes(series, schema, len(windows.sequences) - sum(map(len, rows.values())))
    blind = len(every.sequences) - len(windows.sequences)
    if blind:
        notes += (f"{blind} windows hold no value of a target to count its change from",)
    return assembled(blocks, scaling, schema, table, series, notes)


def _whole(
    table: Table, schema: Schema, series: list[Series], split: Any, stride: int, missing: str
) -> Prepared:
    if schema.series is None:
        remedy = "name the column that tells the series apart"
        raise DataError(f"`series` is missing, but {schema.task} has one answer per series", remedy)
    sequences = whole_series(series, schema, table.name)
    y = answers(table, series, schema)
    if schema.task == "classification":
        schema = replace(schema, classes=_classes(table, schema, y))
        y = class_numbers(y, schema.classes)
    sequences = replace(sequences, y=y)
    assert sequences.origin is not None
    rows = splits.split_whole(sequences.origin, split, by="series")
    blocks = {name: sequences[chosen] for name, chosen in rows.items()}
    if schema.task == "classification":
        check_classes(blocks["train"], schema, table.name)
    scaling = scaling_of(blocks["train"], schema, None, missing, table.name)
    return assembled(blocks, scaling, schema, table, series, _notes(series, schema, 0))


def _classes(table: Table, schema: Schema, labels: np.ndarray) -> tuple[str, ...]:
    if len(schema.targets) > 1:
        found = f"`targets` names {len(schema.targets)} columns to classify"
        raise DataError(found, "name the one that holds the label", path=table.name)
    return class_order(labels)


def _notes(series: list[Series], schema: Schema, straddling: int) -> tuple[str, ...]:
    empty = sum(int((~one.observed).sum()) for one in series)
    notes = [f"{empty} rows without any feature became elapsed time"] if empty else []
    if schema.task == "forecast":
        short = sum(int(one.observed.sum()) < fewest(schema) for one in series)
        if short:
            notes.append(f"{short} of {len(series)} series are too short for a window")
        if straddling:
            notes.append(f"{straddling} windows reach over a split, or lie off the fixed origins")
    return tuple(notes)
