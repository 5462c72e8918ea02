"""The event-based XOR task: bits arrive as runs, and time says how long each run was.

A string of random bits, its length uniform on [2, 32). Whenever the bit changes there is an event,
and one more at the end for the run still open:

    x = the bit of the run that ended,    Δt = the length of that run / 32

The answer is the parity of the ones. A run of 5 ones and one of 6 differ in nothing but Δt, so that
a model that ignores elapsed time can do no better than a coin wherever a long run of ones occurs.

Source: M. Lechner and R. Hasani, "Learning Long-Term Dependencies in Irregularly-Sampled Time
Series" (2020); with lengths as in their experiments with CfC (2022).
"""

from __future__ import annotations

import numpy as np

from shoal.data import Sequences

LONGEST = 32


def random_bits(
    rng: np.random.Generator, rows: int, longest: int = LONGEST
) -> tuple[np.ndarray, np.ndarray]:
    """(rows, longest) bits, and (rows,) how many of them count, from 2 to below `longest`.

    >>> bits, lengths = random_bits(np.random.default_rng(0), 3)
    >>> bits.shape, bool((lengths >= 2).all() and (lengths < 32).all())
    ((3, 32), True)
    """
    lengths = rng.integers(2, longest, rows)
    return rng.integers(0, 2, (rows, longest)), lengths


def runs(bits: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The runs of each string, padded at the end: values, lengths, mask; each (rows, longest).

    >>> values, steps, mask = runs(np.array([[1, 1, 0, 1, 9]]), np.array([4]))
    >>> values.tolist(), steps.tolist(), mask.sum().tolist()
    ([[1, 0, 1, 0, 0]], [[2, 1, 1, 0, 0]], 3)
    """
    place = np.arange(bits.shape[1])
    changes = np.ones(bits.shape, bool)
    changes[:, :-1] = bits[:, 1:] != bits[:, :-1]
    ends = (changes | (place == lengths[:, None] - 1)) & (place < lengths[:, None])
    row, end = np.nonzero(ends)
    which = (np.cumsum(ends, axis=1) - 1)[row, end]
    first = which == 0
    values, steps = np.zeros(bits.shape, int), np.zeros(bits.shape, int)
    values[row, which] = bits[row, end]
    steps[row, which] = end - np.where(first, -1, np.roll(end, 1))
    return values, steps, place < ends.sum(axis=1)[:, None]


def parity(bits: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(rows,) 1 where an odd number of the bits that count are ones.

    >>> parity(np.array([[1, 0, 1, 1], [1, 0, 1, 1]]), np.array([3, 4])).tolist()
    [0, 1]
    """
    counts = np.arange(bits.shape[1]) < lengths[:, None]
    return (bits * counts).sum(axis=1) % 2


def events(rows: int, seed: int = 0, longest: int = LONGEST) -> Sequences:
    """A data set: x (rows, longest, 1), timespans and mask (rows, longest), y (rows,) classes.

    Args:
        rows: how many strings.
        seed: of the generator.
        longest: the padded length; strings are shorter.

    >>> made = events(4)
    >>> made.x.shape, made.timespans.shape, made.y.shape
    ((4, 32, 1), (4, 32), (4,))
    """
    bits, lengths = random_bits(np.random.default_rng(seed), rows, longest)
    values, steps, mask = runs(bits, lengths)
    return Sequences(
        x=values[..., None].astype(np.float32),
        timespans=(steps / longest).astype(np.float32),
        mask=mask,
        y=parity(bits, lengths),
    )
