"""How X was read when an estimator was fitted; it is read so again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from shoal.data.errors import nearest

Kind = Literal["rows", "series", "sequences"]


@dataclass(frozen=True)
class Form:
    """How X was read when the estimator was fitted, and must be read again.

    Args:
        kind: rows, series or sequences.
        features: the names of what a member sees.
        time, series: the columns of times and of the series' names, by number.
        window: observations in a window, of a series.
        unit: what times count, where they are dates.
    """

    kind: Kind
    features: tuple[str, ...] = ()
    time: int | None = None
    series: int | None = None
    window: int | None = None
    unit: str | None = None


def names_of(estimator: Any, count: int) -> tuple[str, ...]:
    given = getattr(estimator, "feature_names_in_", None)
    return tuple(f"x{i}" for i in range(count)) if given is None else tuple(map(str, given))


def place_of(estimator: Any, argument: str) -> int | None:
    """The number of the column that an argument names."""
    wanted, count = getattr(estimator, argument), estimator.n_features_in_
    if wanted is None:
        return None
    if isinstance(wanted, str):
        names = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
        if wanted not in names:
            hint = nearest(wanted, names) if names else "X has no names: give the column's number"
            raise ValueError(f"`{argument}` is {wanted!r}, which X does not have; {hint}")
        return names.index(wanted)
    if not -count <= wanted < count:
        raise ValueError(f"`{argument}` is {wanted}, but X has {count} columns")
    return int(wanted) % count
