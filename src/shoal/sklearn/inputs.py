"""What X may be, and the sequences that it stands for.

    rows        2-D X: a row is a sample, whatever its neighbours
    series      2-D X with `time_column`: a row is an observation of a series; its sample is the
                window of observations that ends with it
    sequences   3-D X, or a list of 2-D arrays of any length: a sample is a sequence

Each row, observation or sequence has one answer. NaN marks what is missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from shoal.data.sequences import Sequences
from shoal.sklearn.form import Form, Kind, names_of
from shoal.sklearn.ragged import read_sequences
from shoal.sklearn.series import read_series


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
    readers = {"rows": _rows, "series": read_series, "sequences": read_sequences}
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


def _rows(estimator: Any, X: Any, timespans: Any, form: Form | None) -> tuple[Sequences, Form]:
    options: Any = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}
    x: Any = validate_data(estimator, X, reset=form is None, **options)
    sequences = Sequences(x[:, None, :], np.ones((len(x), 1)))
    return sequences, form or Form("rows", names_of(estimator, x.shape[1]))
