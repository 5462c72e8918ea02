"""What a wiring may be given, and how it is refused."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from shoal.wiring_draws import Matrix

ROLES = ("inter", "command", "motor")  # in the order in which a signal passes them


def check_roles(roles: tuple[str, ...], units: int, output_dim: int) -> None:
    wrong = [role for role in roles if role not in ROLES]
    if wrong:
        raise ValueError(f"`roles` must be among {ROLES}, got {wrong[0]!r}")
    if len(roles) != units:
        raise ValueError(f"`roles` must name all {units} neurons, got {len(roles)}")
    if [role == "motor" for role in roles] != [i < output_dim for i in range(units)]:
        raise ValueError(
            f"`roles` must be 'motor' for the first output_dim = {output_dim} neurons and no "
            f"other, got {list(roles)}"
        )


def signed(name: str, matrix: npt.ArrayLike) -> Matrix:
    values = np.asarray(matrix)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"`{name}` must have two dimensions, got shape {values.shape}")
    if not np.isin(values, (-1, 0, 1)).all():
        wrong = values[~np.isin(values, (-1, 0, 1))][0]
        raise ValueError(f"`{name}` must hold −1, 0 and +1 only, got {wrong}")
    return values.astype(np.int32)


def integer(name: str, value: Any, low: int, high: int | None = None, of: str = "") -> int:
    rule = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
    rule += f" ({of})" if of else ""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"`{name}` must be {rule}, got {value!r}") from None
    if number < low or (high is not None and number > high):
        raise ValueError(f"`{name}` must be {rule}, got {number}")
    return number
