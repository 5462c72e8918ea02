"""What X may be, and the sequences that it stands for.

    rows        2-D X: a row is a sample, whatever its neighbours
    series      2-D X with `time_column`: a row is an observation of a series; its sample is the
                window of observations that ends with it
    sequences   3-D X, or a list of 2-D arrays of any length: a sample is a sequence

Each row, observation or sequence has one answer. NaN marks what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from shoal.data.errors import DataError, nearest
from shoal.data.sequences import Sequences, tidy
from shoal.data.times import natural_unit, parse_times, to_numbers

Kind = Literal["rows", "series", "sequences"]
_PAD_TO = 8  # ragged sequences are padded to multiples of this, so that few lengths are compiled


@dataclass(frozen=True)
class Form:
    """How X was read when the estimator was fitted, and must be read again.

    Args:
        kind: rows, series or sequences.
        features: the names of what a member sees.
        time, series: the columns of times and of the series' names, by number.
        window: observations in a window, of a series.
        unit: what times count, where they are dates.
    """

    kind: Kind
    features: tuple[str, ...] = ()
    time: int | None = None
    series: int | None = None
    window: int | None = None
    unit: str | None = None


def kind_of(X: Any, time_column: Any) -> Kind:
    """Which of the three X is.

    >>> kind_of(np.ones((4, 2)), None), kind_of(np.ones((4, 2)), 0), kind_of([np.ones((3, 2))], 0)
    ('rows', 'series', 'sequences')
    """
    if _is_sequences(X):
        return "sequences"
    return "rows" if time_column is None else "series"


def read(
    estimator: BaseEstimator, X: Any, timespans: Any, form: Form | None = None
) -> tuple[Sequences, Form]:
    """The sequences of X in the order of its rows, and the form in which it was read.

    Args:
        estimator: with `time_column`, `series_column` and `window`; gets `n_features_in_`, and
            `feature_names_in_` where X has names, when there is no `form` yet.
        X: as the head of this file says.
        timespans: (n, time), or a list of (time,): only of sequences.
        form: of the fit; None where this is one.

    Raises:
        ValueError: X is not what it must be.
    """
    given: Any = estimator
    kind = kind_of(X, given.time_column)
    if form is not None and kind != form.kind:
        raise ValueError(
            f"{type(estimator).__name__} was fitted on {form.kind}, but X holds {kind}; "
            "give X the shape that it had in fit"
        )
    if kind != "sequences" and timespans is not None:
        raise ValueError(
            "`timespans` are of sequences: give X of shape (n, time, features), or name the "
            "`time_column` of a table"
        )
    readers = {"rows": _rows, "series": _series, "sequences": _sequences}
    return readers[kind](estimator, X, timespans, form)


def _is_sequences(X: Any) -> bool:
    if hasattr(X, "shape") and not isinstance(X, np.ndarray):
        return len(X.shape) == 3
    if isinstance(X, np.ndarray) and (X.dtype.kind != "O" or X.ndim != 1):
        return X.ndim == 3
    return isinstance(X, list | tuple | np.ndarray) and len(X) > 0 and _depth(X[0]) == 2


def _depth(one: Any) -> int:
    if hasattr(one, "ndim"):
        return int(one.ndim)
    if not isinstance(one, list | tuple):
        return 0
    return 1 + (_depth(one[0]) if len(one) else 0)


def _rows(estimator, X, timespans, form) -> tuple[Sequences, Form]:
    options = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}
    x = validate_data(estimator, X, reset=form is None, **options)
    sequences = Sequences(x[:, None, :], np.ones((len(x), 1)))
    return sequences, form or Form("rows", _names(estimator, x.shape[1]))


def _names(estimator: Any, count: int) -> tuple[str, ...]:
    given = getattr(estimator, "feature_names_in_", None)
    return tuple(f"x{i}" for i in range(count)) if given is None else tuple(map(str, given))


def _series(estimator, X, timespans, form) -> tuple[Sequences, Form]:
    table = X if hasattr(X, "iloc") else np.asarray(X)
    _check_table(table)
    validate_data(estimator, table, reset=form is None, skip_check_array=True)
    if form is None:
        time, series = (_place(estimator, name) for name in ("time_column", "series_column"))
        if not (isinstance(estimator.window, int | np.integer) and estimator.window >= 1):
            raise ValueError(f"`window` must be a whole number from 1, got {estimator.window!r}")
        names = _names(estimator, table.shape[1])
        features = tuple(n for i, n in enumerate(names) if i not in (time, series))
        form = Form("series", features, time, series, int(estimator.window))
    moments = _moments(_column(table, form.time), estimator.time_column)
    unit = form.unit
    if moments.dtype.kind == "M" and unit is None:
        gaps = np.diff(np.unique(moments)) / np.timedelta64(1, "s")
        unit = natural_unit(float(np.median(gaps))) if len(gaps) else "second"
    keep = [i for i in range(table.shape[1]) if i not in (form.time, form.series)]
    rest = table.iloc[:, keep] if hasattr(table, "iloc") else table[:, keep]
    x = check_array(rest, dtype=np.float64, ensure_all_finite="allow-nan", estimator=estimator)
    owner = np.zeros(len(x), int)
    if form.series is not None:
        cells = [str(cell) for cell in _column(table, form.series)]
        owner = np.unique(cells, return_inverse=True)[1]
    times = to_numbers(moments, unit)
    return _windows(x, times, owner, form.window or 1), replace(form, unit=unit)


def _check_table(table: Any) -> None:
    if len(table.shape) != 2 or 0 in table.shape:
        raise ValueError(
            f"with a `time_column` X must be (observations, columns), got {table.shape}: give a "
            "DataFrame or a 2-D array"
        )


def _place(estimator: Any, argument: str) -> int | None:
    """The number of the column that an argument names."""
    wanted, count = getattr(estimator, argument), estimator.n_features_in_
    if wanted is None:
        return None
    if isinstance(wanted, str):
        names = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
        if wanted not in names:
            hint = nearest(wanted, names) if names else "X has no names: give the column's number"
            raise ValueError(f"`{argument}` is {wanted!r}, which X does not have; {hint}")
        return names.index(wanted)
    if not -count <= wanted < count:
        raise ValueError(f"`{argument}` is {wanted}, but X has {count} columns")
    return int(wanted) % count


def _column(table: Any, place: int) -> np.ndarray:
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


def _sequences(estimator, X, timespans, form) -> tuple[Sequences, Form]:
    parts, names = _parts(X)
    count = parts[0].shape[1]
    if form is None:
        if estimator.series_column is not None:
            raise ValueError("`series_column` is of tables; sequences are told apart already")
        _forget(estimator)
        estimator.n_features_in_ = count
        if names is not None:
            estimator.feature_names_in_ = np.array(names, object)
        time = _place(estimator, "time_column")
        own = tuple(n for i, n in enumerate(_names(estimator, count)) if i != time)
        if not own:
            raise ValueError("X holds nothing but its time column; add what is observed")
        form = Form("sequences", own, time)
    elif count != estimator.n_features_in_:
        raise ValueError(
            f"X has {count} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input"
        )
    if form.time is not None:
        if timespans is not None:
            raise ValueError("give `timespans` or `time_column`, not both")
        timespans = [_gaps(part[:, form.time], i) for i, part in enumerate(parts)]
        parts = [np.delete(part, form.time, axis=1) for part in parts]
    return _padded(parts, _spans(timespans, parts)), form


def _forget(estimator: Any) -> None:
    """Names of a table that an earlier fit saw."""
    if hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_


def _parts(X: Any) -> tuple[list[np.ndarray], list[str] | None]:
    """Sequences as (time, features) of numbers, and the names of their columns."""
    names = list(map(str, X[0].columns)) if hasattr(X[0], "columns") else None
    parts = []
    for i, one in enumerate(X):
        part = np.asarray(one)
        if part.dtype.kind == "c":
            raise ValueError("Complex data not supported: X must hold real numbers")
        try:
            part = part.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"X[{i}] must hold numbers, got {part.dtype}") from None
        fits = part.ndim == 2 and 0 not in part.shape
        if not fits or (parts and part.shape[1] != parts[0].shape[1]):
            like = f" with {parts[0].shape[1]} features, as X[0]" if parts else ""
            raise ValueError(f"X[{i}] must be (time, features){like}, got {part.shape}")
        if np.isinf(part).any():
            raise ValueError(f"Input X contains infinity: X[{i}]; write NaN where it is missing")
        parts.append(part)
    return parts, names


def _gaps(times: np.ndarray, i: int) -> np.ndarray:
    """The time before each observation; 0 before the first."""
    gaps = np.diff(times, prepend=times[:1])
    if not (gaps >= 0).all():
        raise ValueError(f"the times of X[{i}] must be finite and must not go back; sort them")
    return gaps


def _spans(timespans: Any, parts: list[np.ndarray]) -> list[np.ndarray]:
    if timespans is None:
        return [np.ones(len(part)) for part in parts]
    if len(timespans) != len(parts):
        raise ValueError(f"`timespans` must be of {len(parts)} sequences, got {len(timespans)}")
    spans = [np.asarray(one, np.float64) for one in timespans]
    for i, (own, part) in enumerate(zip(spans, parts, strict=True)):
        if own.shape not in ((len(part),), (len(part), 1)):
            raise ValueError(f"timespans[{i}] must be ({len(part)},) like X[{i}], got {own.shape}")
        if not (np.isfinite(own).all() and (own >= 0).all()):
            raise ValueError(f"timespans[{i}] must be finite and at least 0")
    return [own.reshape(-1) for own in spans]


def _padded(parts: list[np.ndarray], spans: list[np.ndarray]) -> Sequences:
    lengths = np.array([len(part) for part in parts])
    if (lengths == lengths[0]).all():
        return Sequences(np.stack(parts), np.stack(spans))
    mask = np.arange(-(-lengths.max() // _PAD_TO) * _PAD_TO) < lengths[:, None]
    x = np.full((*mask.shape, parts[0].shape[1]), np.nan)
    timespans = np.zeros(mask.shape)
    x[mask], timespans[mask] = np.concatenate(parts), np.concatenate(spans)
    return Sequences(x, timespans, mask)
