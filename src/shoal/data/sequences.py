"""Sequences: the arrays a model is trained on, raw or encoded."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sequences:
    """A batch of padded sequences with what is to be predicted of each.

    Args:
        x: (n, time, features); NaN where a feature is missing. Padding stands at the end.
        timespans: (n, time), the time that elapsed before each observation; 0 before the first
            observation of a series, and in the padding.
        mask: (n, time) bool, True where there is an observation; None where all are.
        y: (n, horizon, targets) to forecast, (n, targets) to regress, (n,) class numbers;
            None where nothing is known of the answers.
        y_mask: like `y`, True where the answer is known; None where all are.
        series: (n,) the series' names.
        origin: (n,) the time of the last observation.
        target_times: (n, horizon) the times forecast.

    >>> s = Sequences(x=np.zeros((3, 4, 2)), timespans=np.ones((3, 4)), y=np.arange(3))
    >>> len(s), s[1:].y, s[[0]].x.shape
    (3, array([1, 2]), (1, 4, 2))
    """

    x: np.ndarray
    timespans: np.ndarray
    mask: np.ndarray | None = None
    y: np.ndarray | None = None
    y_mask: np.ndarray | None = None
    series: np.ndarray | None = None
    origin: np.ndarray | None = None
    target_times: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Any) -> Sequences:
        """The sequences chosen by a slice, indices, or a boolean array."""
        if isinstance(rows, int | np.integer):
            raise TypeError(
                f"Sequences take a slice or an array of rows, got {rows}; use [[{rows}]]"
            )
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen: dict[str, Any] = {k: v if v is None else v[rows] for k, v in values.items()}
        return Sequences(**chosen)


def concatenate(parts: list[Sequences]) -> Sequences:
    """The sequences of all parts, one after the other; all of one length in time."""
    joined = {}
    for field in fields(Sequences):
        values = [getattr(part, field.name) for part in parts]
        known = [value is not None for value in values]
        if field.name in ("mask", "y_mask") and any(known) and not all(known):
            like = "timespans" if field.name == "mask" else "y"
            values = [
                np.ones(getattr(part, like).shape, bool) if value is None else value
                for part, value in zip(parts, values, strict=True)
            ]
        joined[field.name] = np.concatenate(values) if any(known) else None
    return Sequences(**joined)


def tidy(sequences: Sequences) -> Sequences:
    """Masks that mask nothing are None."""
    mask, y_mask = sequences.mask, sequences.y_mask
    return replace(
        sequences,
        mask=None if mask is None or mask.all() else mask,
        y_mask=None if y_mask is None or y_mask.all() else y_mask,
    )
