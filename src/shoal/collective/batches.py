"""Batches of few shapes, so that many input sizes cost few compilations.

Rows are cut into chunks whose size is a power of two, and the last chunk is filled up by repeating
a row. A chunk holds at most 2¹⁷ observations, so that long inputs do not exhaust the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import numpy as np
from jaxtyping import PyTree

SMALLEST, LARGEST = 8, 4096
OBSERVATIONS = 2**17


def bucket(rows: int, time: int = 1) -> int:
    """The rows of a compiled batch that holds `rows` of them, or as many as fit.

    >>> bucket(1), bucket(9), bucket(100_000), bucket(100_000, time=1000)
    (8, 16, 4096, 128)
    """
    most = min(LARGEST, max(1, OBSERVATIONS // max(time, 1)))
    most = 1 << (most.bit_length() - 1)
    return min(most, max(SMALLEST, 1 << max(rows - 1, 0).bit_length()))


def in_batches(predict: Callable[..., PyTree], inputs: PyTree) -> PyTree[np.ndarray]:
    """`predict(inputs)` in batches; inputs have the rows first, answers second (members first)."""
    rows = len(jax.tree.leaves(inputs)[0])
    answers = []
    for part, kept in _chunks(inputs, rows):
        answer = jax.tree.map(lambda a: np.asarray(a, np.float64), predict(part))
        answers.append(jax.tree.map(lambda a, kept=kept: a[:, :kept], answer))
    return jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *answers)


def _chunks(inputs: PyTree, rows: int) -> Iterator[tuple[PyTree, int]]:
    first = jax.tree.leaves(inputs)[0]
    time = first.shape[1] if first.ndim > 2 else 1
    start = 0
    while start < rows:
        size = bucket(rows - start, time)
        kept = min(size, rows - start)
        index = np.minimum(np.arange(start, start + size), rows - 1)
        yield jax.tree.map(lambda a, index=index: a[index], inputs), kept
        start += kept
