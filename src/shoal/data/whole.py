"""Whole series: one padded sequence per series, with one answer each."""

from __future__ import annotations

import numpy as np

from shoal.data.errors import DataError
from shoal.data.schema import Schema
from shoal.data.sequences import Sequences
from shoal.data.series import Series
from shoal.data.table import Table


def whole_series(series: list[Series], schema: Schema, path: str) -> Sequences:
    """Every series as one sequence, padded at its end; the last `schema.window` observations.

    Raises:
        DataError: a series without any observation.
    """
    for one in series:
        if not one.observed.any():
            found = f"{one.title} has no observation"
            raise DataError(found, "give it rows, or remove it", path=path)
    parts = [_observations(one, schema.window) for one in series]
    lengths = np.array([len(times) for times, *_ in parts])
    mask = np.arange(lengths.max()) < lengths[:, None]
    x = np.full((*mask.shape, parts[0][1].shape[1]), np.nan)
    timespans = np.zeros(mask.shape)
    x[mask] = np.concatenate([x for _, x, _ in parts])
    timespans[mask] = np.concatenate([gaps for *_, gaps in parts])
    return Sequences(
        x=x,
        timespans=timespans,
        mask=None if mask.all() else mask,
        series=np.array([one.name for one in series], object),
        origin=np.array([times[-1] for times, *_ in parts]),
    )


def _observations(series: Series, window: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    times = series.times[series.observed]
    gaps = np.diff(times, prepend=times[:1])
    last = slice(None) if window is None else slice(-window, None)
    return times[last], series.x[series.observed][last], gaps[last]


def answers(table: Table, series: list[Series], schema: Schema) -> np.ndarray:
    """(n, targets) numbers, or (n,) labels as text.

    Raises:
        DataError: a series without its answer, or with several where one is asked for.
    """
    columns = []
    for name in schema.targets:
        is_label = schema.task == "classification"
        cells = table.labels(name) if is_label else table.numbers(name, "targets")
        columns.append([_answer(table, name, one, cells[one.rows], schema) for one in series])
    if schema.task == "classification":
        return np.array(columns[0], object)
    return np.array(columns, np.float64).T


def _answer(table: Table, name: str, series: Series, cells: np.ndarray, schema: Schema) -> object:
    known = [i for i, cell in enumerate(cells) if cell is not None and cell == cell]
    fail = table.fail(name, series.rows)
    if not known:
        fail(0, f"series {series.name!r} has no label", "label it, or remove the series")
    if schema.label == "constant":
        odd = [i for i in known if cells[i] != cells[known[0]]]
        if odd:
            found = f"series {series.name!r} has {cells[odd[0]]!r} here, {cells[known[0]]!r} before"
            fail(odd[0], found, "give a series one label, or ask for `label: last`")
    return cells[known[-1]]


def class_numbers(labels: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """(n,) the number of each label in `classes`.

    >>> class_numbers(np.array(["b", "a"], object), ("a", "b"))
    array([1, 0])

    Raises:
        DataError: a label that is no class.
    """
    number = {label: i for i, label in enumerate(classes)}
    unknown = sorted({str(label) for label in labels if label not in number})
    if unknown:
        known = ", ".join(repr(label) for label in classes)
        raise DataError(f"the label {unknown[0]!r} is not among the classes", f"known are {known}")
    return np.array([number[label] for label in labels], np.int64)


def class_order(labels: np.ndarray) -> tuple[str, ...]:
    """The classes in order: of numbers where all labels are numbers, else of the alphabet.

    >>> class_order(np.array(["10", "9", "9"], object))
    ('9', '10')
    """
    unique = sorted(set(labels.tolist()))
    try:
        return tuple(sorted(unique, key=float))
    except ValueError:
        return tuple(unique)


def check_classes(train: Sequences, schema: Schema, name: str) -> None:
    """Every class has an example to learn from.

    Raises:
        DataError: one class only, or one without an example.
    """
    seen = sorted({schema.classes[i] for i in np.asarray(train.y)})
    column = schema.targets[0]
    if len(seen) < 2:
        found = f"the training data hold only the class {seen[0]!r}"
        raise DataError(found, "give at least two, or change the split", path=name, column=column)
    unseen = [label for label in schema.classes if label not in seen]
    if unseen:
        found = f"the class {unseen[0]!r} has no example in the training data"
        remedy = "give more examples, or change split.seed"
        raise DataError(found, remedy, path=name, column=column)
