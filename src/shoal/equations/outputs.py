"""What a member may answer: a plain array (a point), a normal distribution, or class logits.

The type of the answer says what it is, so that losses, weightings and collectives need no flags.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from shoal.equations.activations import softplus

LIKELIHOODS = ("point", "normal", "categorical")
LEAST_STD = 1e-3  # of a normal answer, in the units of the scaled target


class Normal(NamedTuple):
    """An independent normal distribution for every output; `std` > 0, both of one shape."""

    mean: Any
    std: Any


class Categorical(NamedTuple):
    """Unnormalised log-probabilities over classes on the last axis."""

    logits: Any


def interpret(xp, numbers, shape: Sequence[int], likelihood: str):
    """The answer that a head's numbers, (..., n), stand for: an array, Normal or Categorical.

    A normal answer has the means first; its std is softplus(·) + 0.001.

    >>> import numpy as np
    >>> interpret(np, np.ones((8, 52)), (26, 1), "normal").mean.shape
    (8, 26, 1)
    """
    lead = numbers.shape[:-1]
    if likelihood == "point":
        return numbers.reshape(*lead, *shape)
    if likelihood == "categorical":
        return Categorical(numbers.reshape(*lead, *shape))
    half = numbers.shape[-1] // 2
    mean = numbers[..., :half].reshape(*lead, *shape)
    raw = numbers[..., half:].reshape(*lead, *shape)
    return Normal(mean, softplus(xp, raw) + LEAST_STD)


def check_head(in_size: int, shape: Sequence[int], likelihood: str) -> tuple[int, ...]:
    """The shape of one answer, and a ValueError for one that cannot be."""
    if likelihood not in LIKELIHOODS:
        allowed = ", ".join(LIKELIHOODS)
        raise ValueError(f"`likelihood` must be one of {allowed}; got {likelihood!r}.")
    shape = tuple(int(n) for n in shape)
    if in_size < 1 or any(n < 1 for n in shape):
        raise ValueError(f"`in_size` and `shape` must be at least 1, got {in_size}, {shape}.")
    if likelihood == "categorical" and not shape:
        raise ValueError("`shape` must end with the number of classes, got ().")
    return shape


def count_numbers(shape: Sequence[int], likelihood: str) -> int:
    """How many numbers a head gives for one answer.

    >>> count_numbers((26, 1), "normal")
    52
    """
    return prod(shape) * (2 if likelihood == "normal" else 1)
