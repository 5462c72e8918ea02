"""The schema: what was asked of a table and what was inferred from it, enough to read another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from shoal.data.times import to_dates


@dataclass(frozen=True)
class Schema:
    """How a table becomes sequences. Everything is JSON: `to_dict` and `from_dict`.

    Args:
        task: "forecast", "regression" or "classification".
        time: the time column; None where a row is one unit of time.
        features: the feature columns.
        targets: the target columns.
        series: the column that names the series; None where there is one.
        is_date: whether the time column holds dates.
        time_unit: the unit of all times and timespans; None where times are plain numbers.
        time_format: how dates are written, where it is not ISO 8601.
        calendar: (cycle, harmonics) pairs, each adding sine and cosine columns to x.
        window: observations in a window; None: whole series.
        min_window: the fewest observations a (padded) window may hold.
        window_every: a window holds every n-th observation, back from its last.
        horizons: the steps ahead that are forecast.
        step: the time between two steps.
        target_transform: "level", or "change" since the last value observed.
        input_transform: likewise, of the features.
        classes: the labels in the order of their numbers.
        label: "constant" or "last": which row of a series carries its label.
        arrays: whether the data are arrays x, y (from NPZ), without columns.

    >>> schema = Schema("forecast", "date", ("co2",), ("co2",), horizons=(1, 2), step=1.0)
    >>> Schema.from_dict(schema.to_dict()) == schema, schema.horizon
    (True, 2)
    """

    task: str
    time: str | None
    features: tuple[str, ...]
    targets: tuple[str, ...]
    series: str | None = None
    is_date: bool = False
    time_unit: str | None = None
    time_format: str | None = None
    calendar: tuple[tuple[str, int], ...] = ()
    window: int | None = None
    min_window: int | None = None
    window_every: int = 1
    horizons: tuple[int, ...] = ()
    step: float | None = None
    target_transform: str = "level"
    input_transform: str = "level"
    classes: tuple[Any, ...] = ()
    label: str = "constant"
    arrays: bool = False

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns of x in order: the features, then the calendar's waves."""
        waves = (
            f"{cycle}_{wave}{harmonic}"
            for cycle, harmonics in self.calendar
            for harmonic in range(1, harmonics + 1)
            for wave in ("sin", "cos")
        )
        return (*self.features, *waves)

    @property
    def target_names(self) -> tuple[str, ...]:
        return self.targets

    @property
    def horizon(self) -> int:
        """How many steps ahead are forecast, the length of the horizon axis; 0 for other tasks."""
        return len(self.horizons)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of one answer: (horizon, targets), (targets,) or (classes,)."""
        if self.task == "forecast":
            return (self.horizon, len(self.targets))
        return (len(self.targets),) if self.task == "regression" else (len(self.classes),)

    def dates(self, times: np.ndarray) -> np.ndarray:
        """Times as datetime64[ms] where the time column holds dates, else as they are."""
        return to_dates(times, self.time_unit) if self.is_date and self.time_unit else times

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        values["calendar"] = dict(self.calendar)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Schema:
        """The schema that `to_dict` wrote.

        Raises:
            ValueError: an entry that no schema has.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"a schema has no entry {unknown[0]!r}; a newer version wrote it")
        known: dict[str, Any] = dict(values)
        known |= {k: tuple(v) for k, v in values.items() if isinstance(v, list)}
        known["calendar"] = tuple(dict(values.get("calendar", {})).items())
        return cls(**known)
