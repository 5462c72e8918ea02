"""Blocks of samples: which train, which choose, which calibrate; and padding to few sizes.

A program is compiled for the number of rows that it trains on. Rows are filled up, with weight 0,
to the next of few numbers, so that folds and subsets of about one size share a program.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from shoal.data.sequences import Sequences

Order = Literal["random", "time"]
SMALLEST = 32


def split(
    shares: dict[str, float],
    sequences: Sequences,
    order: Order,
    rng: np.random.RandomState,
) -> dict[str, Sequences]:
    """The blocks "train" and those of `shares`, in this order of rows: first, then each share.

    Args:
        shares: of each further block, in (0, 1).
        sequences: with y; where that holds class numbers, each block has its share of each class.
        order: at random, or in time: by `origin`, or as rows come.

    Raises:
        ValueError: a block would be empty, or a class without an example to learn from.
    """
    n = len(sequences)
    counts = {name: round(n * share) for name, share in shares.items()}
    rest = n - sum(counts.values())
    if min([rest, *counts.values()]) < 1:
        raise ValueError(
            f"{n} samples leave none for one of: train, {', '.join(shares)}; give more samples, "
            "or other fractions"
        )
    rows = _in_order(sequences, order, rng)
    parts = np.split(rows, np.cumsum([rest, *counts.values()])[:-1])
    return {
        name: sequences[np.sort(part)] for name, part in zip(["train", *counts], parts, strict=True)
    }


def _in_order(sequences: Sequences, order: Order, rng: np.random.RandomState) -> np.ndarray:
    n, y = len(sequences), sequences.y
    if order == "time":
        times = np.arange(n) if sequences.origin is None else sequences.origin
        return np.argsort(times, kind="stable")
    rows = rng.permutation(n)
    if y is None or y.ndim != 1:
        return rows
    share = np.empty(n)
    for label in np.unique(y):  # how far each row is on in its own class
        own = np.flatnonzero(y[rows] == label)
        share[own] = np.arange(len(own)) / len(own)
    return rows[np.argsort(share, kind="stable")]


def filled(sequences: Sequences, batch_size: int) -> Sequences:
    """The encoded sequences, filled up by rows whose answer is masked.

    Up to a batch the next power of two, then whole batches.

    >>> made = filled(Sequences(np.ones((5, 1, 2)), np.ones((5, 1)), y=np.ones((5, 1))), 64)
    >>> made.x.shape, int(made.y_mask.sum())
    ((32, 1, 2), 5)
    """
    assert sequences.y is not None
    n = len(sequences)
    known = sequences.y_mask
    known = np.ones(sequences.y.shape, bool) if known is None else known.copy()
    rows = np.minimum(np.arange(bucket(n, batch_size)), n - 1)
    made = replace(sequences, y_mask=known, series=None, origin=None, target_times=None)[rows]
    assert made.y_mask is not None
    made.y_mask[n:] = False
    return made


def bucket(n: int, batch_size: int) -> int:
    """How many rows `n` of them are filled up to.

    >>> [bucket(n, 64) for n in (3, 33, 64, 65, 300)]
    [32, 64, 64, 128, 320]
    """
    if n > batch_size:
        return -(-n // batch_size) * batch_size
    return max(SMALLEST, 1 << max(n - 1, 0).bit_length())
