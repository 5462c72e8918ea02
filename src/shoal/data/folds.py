"""Folds: every row answered by members that were trained without it, and checked for leaks.

    shuffled   the rows dealt at random to k folds of about equal size
    time       rows in the order of time, cut into k + 1 blocks: fold j trains on the blocks before
               block j, and is asked about that block; nobody is asked about the first

A row knows its observations and what is to be predicted of them: from `begin` to `end`; it is
asked about what comes after its `origin`. Rows without times stand for moments of their own, in
the order they have. In time, a row is trained on only if it ends by the first origin of the fold,
less the `gap`; those that reach further are left out of the fold.

Refused as leaks: a row that is trained on and asked about; folds in time that train on later rows;
windows trained on that hold the moments another one is asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

ORDERS = ("shuffled", "time")
_TINY = 1e-9  # of a time: moments that rounding moved are the same


class Fold(NamedTuple):
    """The numbers of the rows that are trained on, and of those that are asked about."""

    train: np.ndarray
    test: np.ndarray


class Spans(NamedTuple):
    """When each row begins, asks and ends, each (rows,); which series it is of, or None."""

    begin: np.ndarray
    origin: np.ndarray
    end: np.ndarray
    series: np.ndarray | None = None


def make_folds(
    data: Any,
    folds: Any = 5,
    *,
    order: str | None = None,
    gap: float = 0.0,
    seed: int = 0,
) -> tuple[Fold, ...]:
    """Folds of samples, none of which leaks.

    Args:
        data: rows with `x`, such as `Sequences`, whose times are then heeded.
        folds: how many, at least 2; or folds of your own: pairs (train, test) of row numbers, or a
            splitter with scikit-learn's `split(x, y)`.
        order: "shuffled" or "time"; None: time where rows forecast a series, else shuffled. With
            folds of your own, "time" asks that they be in order.
        gap: in time, in its unit (rows where there are no times): what lies between the rows
            trained on and those asked about.
        seed: of the shuffling.

    Raises:
        ValueError: too few rows, or folds that leak.

    >>> from shoal.data.sequences import Sequences
    >>> rows = Sequences(x=np.zeros((6, 1, 1)), timespans=np.ones((6, 1)), y=np.zeros(6))
    >>> [(f.train.tolist(), f.test.tolist()) for f in make_folds(rows, 2, order="time")]
    [([0, 1], [2, 3]), ([0, 1, 2, 3], [4, 5])]
    """
    rows, spans = len(data.x), spans_of(data)
    if order not in (None, *ORDERS):
        raise ValueError(f"`order` must be one of {', '.join(ORDERS)}, got {order!r}")
    if not 0 <= gap < float("inf"):
        raise ValueError(f"`gap` must be at least 0, got {gap!r}")
    forecasts = getattr(data, "target_times", None) is not None
    own = not isinstance(folds, int | np.integer)
    if order is None:
        order = "time" if forecasts and not own else "shuffled"
    if own:
        made = _given(folds, data)
    else:
        _check_count(int(folds), rows)
        count = int(folds)
        cut = in_time(spans, count, gap) if order == "time" else shuffled(rows, count, seed)
        made = tuple(cut)
    check_rows(made, rows)
    if order == "time":
        check_order(made, spans, gap)
    if forecasts:
        check_windows(made, spans)
    return made


def spans_of(data: Any) -> Spans:
    """When the rows begin, ask and end."""
    origin = getattr(data, "origin", None)
    if origin is None:
        place = np.arange(len(data.x), dtype=float)
        return Spans(place, place, place)
    origin = np.asarray(origin, float)
    timespans = np.asarray(data.timespans, float)
    if data.mask is not None:
        timespans = np.where(data.mask, timespans, 0.0)
    begin = origin - timespans[:, 1:].sum(1)
    targets = data.target_times
    end = origin if targets is None else np.asarray(targets, float).reshape(len(origin), -1).max(1)
    return Spans(begin, origin, end, data.series)


def shuffled(rows: int, folds: int, seed: int = 0) -> Iterable[Fold]:
    """The rows dealt at random to so many folds.

    >>> [fold.test.tolist() for fold in shuffled(4, 2, seed=0)]
    [[0, 2], [1, 3]]
    """
    parts = np.array_split(np.random.default_rng(seed).permutation(rows), folds)
    for part in parts:
        test = np.sort(part)
        yield Fold(np.setdiff1d(np.arange(rows), test), test)


def in_time(spans: Spans, folds: int, gap: float = 0.0) -> Iterable[Fold]:
    """Blocks that follow one another, each asked of those trained on what ended before it."""
    order = np.argsort(spans.origin, kind="stable")
    blocks = np.array_split(order, folds + 1)
    for number, block in enumerate(blocks[1:], 1):
        before = np.concatenate(blocks[:number])
        first = spans.origin[block].min() - gap
        yield Fold(np.sort(before[spans.end[before] <= first + _tiny(first)]), np.sort(block))


def check_rows(folds: Sequence[Fold], rows: int) -> None:
    """Refuses folds that train on what they ask about, and rows that are asked about twice."""
    if len(folds) < 1:
        raise ValueError("`folds` must hold at least one pair (train, test), got none")
    asked = np.zeros(rows, int)
    for number, fold in enumerate(folds):
        for name, part in fold._asdict().items():
            if not len(part):
                raise ValueError(
                    f"fold {number} has no rows to {'ask about' if name == 'test' else 'train on'};"
                    " give more rows or fewer folds, or lower the gap"
                )
            if part.min() < 0 or part.max() >= rows:
                raise ValueError(f"fold {number} names rows outside of 0 to {rows - 1}")
        both = np.intersect1d(fold.train, fold.test)
        if len(both):
            raise ValueError(
                f"folds leak: fold {number} is asked about rows it was trained on ({_some(both)}); "
                "take them out of one or the other"
            )
        asked[np.unique(fold.test)] += 1
    if (asked > 1).any():
        raise ValueError(
            f"rows {_some(np.flatnonzero(asked > 1))} are asked about by several folds; every row "
            "is answered once at most"
        )


def check_order(folds: Sequence[Fold], spans: Spans, gap: float = 0.0) -> None:
    """Refuses folds in time that train on what ends after the first moment they are asked at."""
    for number, fold in enumerate(folds):
        first, last = spans.origin[fold.test].min() - gap, spans.end[fold.train].max()
        if last > first + _tiny(first):
            raise ValueError(
                f"folds leak: fold {number} is asked from {first + gap:.6g} on, and trains on rows "
                f"that reach to {last:.6g}{f' (gap {gap:.6g})' if gap else ''}; in the order of "
                "time a fold trains on what ended before"
            )


def check_windows(folds: Sequence[Fold], spans: Spans) -> None:
    """Refuses folds whose windows trained on hold moments that others are asked about."""
    series = spans.series
    names = np.zeros(len(spans.origin), int) if series is None else np.asarray(series)
    for number, fold in enumerate(folds):
        for name in np.unique(names[fold.test]):
            train, test = (part[names[part] == name] for part in fold)
            if _overlaps(spans, train, test):
                raise ValueError(
                    f"folds leak: windows that fold {number} trains on hold moments that others "
                    "are asked about; use order 'time', or windows that do not overlap"
                )


def _overlaps(spans: Spans, train: np.ndarray, test: np.ndarray) -> bool:
    """Whether [begin, end] of a row trained on meets (origin, end] of one that is asked about."""
    if not len(train):
        return False
    train = train[np.argsort(spans.begin[train])]
    reach = np.maximum.accumulate(spans.end[train])
    end, origin = spans.end[test], spans.origin[test]
    begun = np.searchsorted(spans.begin[train], end + _tiny(end), side="right")
    return bool((reach[np.maximum(begun, 1) - 1] > origin + _tiny(origin))[begun > 0].any())


def _given(folds: Any, data: Any) -> tuple[Fold, ...]:
    if hasattr(folds, "split"):
        folds = folds.split(data.x, getattr(data, "y", None))
    made = []
    for pair in folds:
        train, test = pair
        made.append(Fold(*(_numbers(part, len(data.x)) for part in (train, test))))
    return tuple(made)


def _numbers(part: Any, rows: int) -> np.ndarray:
    part = np.asarray(part)
    if part.dtype == bool:
        if part.shape != (rows,):
            raise ValueError(f"a fold's mask must be ({rows},), one per row; got {part.shape}")
        return np.flatnonzero(part)
    return part.astype(int)


def _check_count(folds: int, rows: int) -> None:
    if folds < 2:
        raise ValueError(f"`folds` must be at least 2, got {folds}")
    if rows <= folds:
        raise ValueError(f"{folds} folds need more than {folds} rows, found {rows}")


def _tiny(times: Any) -> Any:
    return _TINY * np.maximum(1.0, np.abs(times))


def _some(rows: np.ndarray) -> str:
    shown = ", ".join(map(str, rows[:5].tolist()))
    return f"{shown}, … of {len(rows)}" if len(rows) > 5 else shown
