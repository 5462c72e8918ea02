"""Rules for the arguments of a neuron, the same in every framework."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

import numpy as np


def require_positive(**sizes: Any) -> None:
    """Raises a ValueError for the first size, None excepted, that is no whole number above 0.

    >>> require_positive(units=0)
    Traceback (most recent call last):
    ValueError: `units` must be a whole number of at least 1, got 0.
    """
    for name, size in sizes.items():
        whole = isinstance(size, (int, np.integer)) and not isinstance(size, bool)
        if size is not None and not (whole and size >= 1):
            raise ValueError(f"`{name}` must be a whole number of at least 1, got {size!r}.")


def require_above_zero(**numbers: Any) -> None:
    """Raises a ValueError for the first number that is not above 0, or is infinite."""
    for name, number in numbers.items():
        if not 0 < number < inf:
            raise ValueError(f"`{name}` must be greater than 0, got {number!r}.")


def require_one_of(name: str, value: Any, allowed: Iterable[Any]) -> None:
    """Raises a ValueError for a value that is not allowed."""
    allowed = tuple(allowed)
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(map(str, allowed))}; got {value!r}.")
