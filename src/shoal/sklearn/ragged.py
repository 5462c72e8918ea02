"""Sequences: 3-D X, or a list of 2-D arrays of any length; a sample is a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from shoal.data.sequences import Sequences
from shoal.sklearn.form import Form, names_of, place_of

_PAD_TO = 8  # ragged sequences are padded to multiples of this, so that few lengths are compiled


def read_sequences(
    estimator: Any, X: Any, timespans: Any, form: Form | None
) -> tuple[Sequences, Form]:
    """The sequences, padded at their end where they are of different lengths.

    Args:
        estimator, form: as of `shoal.sklearn.inputs.read`.
        X: (n, time, features), or a list of (time, features).
        timespans: (n, time), or a list of (time,); None where X has a time column, or for 1.
    """
    parts, names = _parts(X)
    count = parts[0].shape[1]
    if form is None:
        if estimator.series_column is not None:
            raise ValueError("`series_column` is of tables; sequences are told apart already")
        _forget(estimator)
        estimator.n_features_in_ = count
        if names is not None:
            estimator.feature_names_in_ = np.array(names, object)
        time = place_of(estimator, "time_column")
        own = tuple(n for i, n in enumerate(names_of(estimator, count)) if i != time)
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
