"""What is asked of a table, checked against it before anything is read from its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shoal.data.errors import DataError, nearest
from shoal.data.schema import Schema
from shoal.data.table import Table

TASKS = ("forecast", "regression", "classification")
TRANSFORMS = ("level", "change")


def check_choice(name: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise DataError(f"`{name}` is {value!r}", nearest(str(value), known))


def check_count(name: str, value: Any) -> None:
    """A whole number from 1, or None."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if value is not None and not is_count:
        raise DataError(f"`{name}` is {value!r}", "use a whole number from 1")


def check_step(step: Any) -> None:
    is_number = isinstance(step, int | float) and not isinstance(step, bool)
    if step is not None and not (is_number and 0 < step < float("inf")):
        raise DataError(f"`step` is {step!r}", "use a positive number of time units")


def refuse_for_arrays(asked: Mapping[str, Any]) -> None:
    """Arrays are cut into sequences already.

    Raises:
        DataError: for an option that could only be ignored.
    """
    for name, value in asked.items():
        if value:
            found = f"`{name}` is for tables, but the data are arrays x and y"
            raise DataError(found, "leave it out, or give a table")


def parse_horizon(horizon: int | Sequence[int]) -> tuple[int, ...]:
    """The steps ahead: 1 to `horizon`, or those listed.

    >>> parse_horizon(3), parse_horizon([13, 26])
    ((1, 2, 3), (13, 26))

    Raises:
        DataError: anything but whole numbers from 1 in increasing order.
    """
    if not isinstance(horizon, Sequence):
        check_count("horizon", 0 if horizon is None else horizon)
        return tuple(range(1, int(horizon) + 1))
    steps = list(horizon)
    for step in steps:
        check_count("horizon", 0 if step is None else step)
    if not steps or steps != sorted(set(steps)):
        raise DataError(f"`horizon` is {steps!r}", "list steps in increasing order, each once")
    return tuple(steps)


def names(argument: str, value: Any) -> tuple[str, ...]:
    """A column name, or a list of them, none twice.

    Raises:
        DataError: nothing named, or a column named twice.
    """
    listed = (value,) if isinstance(value, str) else tuple(value or ())
    if not listed:
        raise DataError(f"`{argument}` names no column", f"list the {argument}")
    twice = [name for i, name in enumerate(listed) if name in listed[:i]]
    if twice:
        raise DataError(f"`{argument}` names {twice[0]!r} twice", "name it once")
    return tuple(str(name) for name in listed)


def check_columns(
    table: Table,
    time: str | None,
    features: tuple[str, ...],
    targets: tuple[str, ...],
    series: str | None,
    task: str,
) -> None:
    """Every column exists, and none serves two ends that exclude one another.

    Raises:
        DataError: a column that does not exist, with the nearest name, or a clash.
    """
    for argument, listed in {
        "time": [time] if time else [],
        "series": [series] if series else [],
        "features": features,
        "targets": targets,
    }.items():
        for name in listed:
            table.column(name, argument)
    roles = {"time": time, "series": series}
    for argument, listed in {"features": features, "targets": targets}.items():
        for role, column in roles.items():
            if column is not None and column in listed:
                found = f"`{argument}` names {column!r}, which is the {role} column"
                raise DataError(found, "choose other columns", path=table.name)
    if time is not None and time == series:
        raise DataError(f"`series` and `time` are both {time!r}", "name two columns")
    both = [name for name in targets if name in features]
    if task != "forecast" and both:
        found = f"`features` names {both[0]!r}, which is a target"
        raise DataError(found, "the answer must not be among the features", path=table.name)


def change_columns(targets: tuple[str, ...], features: tuple[str, ...]) -> tuple[int, ...]:
    """For each target, the feature that holds its last value.

    Raises:
        DataError: a target that is no feature.
    """
    for target in targets:
        if target not in features:
            found = f"`target_transform` is 'change', but {target!r} is no feature"
            raise DataError(found, f"add {target!r} to features, or forecast the level")
    return tuple(features.index(target) for target in targets)


def bases(schema: Schema) -> tuple[int, ...] | None:
    """The features that changes are counted from; None where targets are levels."""
    if schema.target_transform != "change":
        return None
    return change_columns(schema.targets, schema.features)
