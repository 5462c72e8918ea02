"""The configuration of a run: `seed`, `data`, `model`, `training`, `ensemble`, and what follows.

Types and bounds stand in the sections; the rules that tie sections together are at the end, as
plain functions that return problems. A new section is a new field of `Config`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from shoal.run.calibrating import calibration_rules
from shoal.run.ensemble_rules import ensemble_rules
from shoal.run.ensemble_section import Ensemble
from shoal.run.errors import nearest
from shoal.run.members_section import spelled_out
from shoal.run.model_rules import model_rules
from shoal.run.model_section import Model, units_of
from shoal.run.reading import Key
from shoal.run.sections import (
    Calibration,
    Count,
    Export,
    Positive,
    Report,
    Section,
    Seed,
    Training,
    Word,
)
from shoal.run.tune_rules import tune_rules
from shoal.run.tune_section import Tune

Cycle = Literal["year", "week", "day"]
Moment = Word | float
Part = Annotated[float, Field(ge=0, lt=1)]
Names = Annotated[list[Word], Field(min_length=1)]


class Split(Section):
    """Which rows go to each block; by default by share, in the order of time; the rest trains."""

    valid: Part | None = None
    calibration: Part | None = None
    test: Part | None = None
    valid_from: Moment | None = None
    calibration_from: Moment | None = None
    test_from: Moment | None = None
    test_every: Count | None = None
    test_origins: Count | list[Moment] | None = None
    by: Literal["series", "time"] | None = None
    seed: Seed | None = None


class Data(Section):
    """Where the data lies, and what is made of it."""

    path: Word = Field(description="the CSV, Parquet or NPZ file, relative to this file")
    time: Word | None = Field(default=None, description="the column of times: dates or numbers")
    time_format: Word | None = None
    time_unit: Literal["millisecond", "second", "minute", "hour", "day", "week", "year"] | None = (
        None
    )
    features: Names | None = Field(default=None, description="the columns a model sees")
    targets: Names | None = Field(default=None, description="the columns it predicts")
    series: Word | None = Field(default=None, description="the column that tells series apart")
    task: Literal["forecast", "regression", "classification"] = "forecast"
    window: Count | None = Field(default=None, description="observations a model sees")
    min_window: Count | None = None
    window_every: Count = Field(default=1, description="a window holds every n-th observation")
    stride: Count = 1
    horizon: Count | Annotated[list[Count], Field(min_length=1)] = Field(
        default=1, description="steps ahead that are predicted"
    )
    step: Positive | None = Field(default=None, description="one step; else the usual gap")
    target_transform: Literal["level", "change"] = "level"
    input_transform: Literal["level", "change"] = "level"
    calendar: list[Cycle] | dict[Cycle, Count] = Field(default_factory=list)
    harmonics: Count = 1
    missing: Literal["auto", "always"] = "auto"
    label: Literal["constant", "last"] = "constant"
    split: Split = Split()

    @property
    def is_arrays(self) -> bool:
        """Whether the file holds arrays x, y in place of columns."""
        return Path(self.path).suffix.lower() == ".npz"


class Config(Section):
    """A whole configuration.

    >>> config = Config(
    ...     data={"path": "a.csv", "time": "t", "features": ["x"], "targets": ["x"], "window": 8},
    ...     model={"kind": "cfc"},
    ... )
    >>> config.ensemble.n_models, config.n_members, config.base_seed
    (5, 1, 0)
    """

    seed: Seed = Field(
        default=0, description="the seed of the one model when ensemble.enabled is false"
    )
    data: Data
    model: Model
    training: Training = Training()
    ensemble: Ensemble = Ensemble()
    calibration: Calibration = Calibration()
    export: Export = Export()
    report: Report = Report()
    tune: Tune | None = None

    @model_validator(mode="before")
    @classmethod
    def _members_spelled_out(cls, data: Any) -> Any:
        return spelled_out(data)

    @property
    def models(self) -> list[Any]:
        """The `model` sections that members are made of, taken in turn."""
        listed = self.ensemble.members if self.ensemble.enabled else None
        return [self.model] if listed is None else list(listed)

    @property
    def n_members(self) -> int:
        """How many models are trained."""
        return self.ensemble.n_models if self.ensemble.enabled else 1

    @property
    def base_seed(self) -> int:
        """The seed of the first of them."""
        return self.ensemble.base_seed if self.ensemble.enabled else self.seed

    @property
    def name(self) -> str:
        """The name of the run and of what it exports."""
        return self.export.name or Path(self.data.path).stem

    @property
    def units(self) -> int:
        """Neurons of the model."""
        return units_of(self.model)

    def to_dict(self) -> dict[str, Any]:
        """What the resolved file holds."""
        return self.model_dump(mode="json")


def problems(config: Config) -> Iterator[tuple[Key, str]]:
    """What is wrong between values that are right by themselves: key and message."""
    own = (_task_rules, model_rules, _split_rules, _training_rules)
    for rule in (*own, ensemble_rules, calibration_rules, tune_rules):
        yield from rule(config)


def _task_rules(config: Config) -> Iterator[tuple[Key, str]]:
    data = config.data
    if not data.is_arrays:
        yield from _table_rules(data)
    if data.task == "classification":
        if data.targets is not None and len(data.targets) != 1:
            found = len(data.targets)
            yield ("data", "targets"), f"classification takes one column, found {found}; keep one"
        if config.model.likelihood == "normal":
            yield ("model", "likelihood"), "'normal' is for real targets; use 'point' to classify"
    if data.target_transform == "change" and data.task != "forecast":
        yield ("data", "target_transform"), "'change' is for forecasts; use 'level'"


def _table_rules(data: Data) -> Iterator[tuple[Key, str]]:
    if data.task == "forecast" and data.time is None:
        yield ("data", "time"), "a forecast needs the column of times; add `time: COLUMN`"
    if data.task == "forecast" and data.window is None:
        yield ("data", "window"), "a forecast needs the observations per window; add `window: 52`"
    if data.task != "forecast" and data.series is None:
        yield (
            ("data", "series"),
            f"{data.task} has one answer per series; name the column that tells series apart",
        )
    if data.window is not None and (data.min_window or 0) > data.window:
        yield ("data", "min_window"), f"must be at most window = {data.window}; lower it"
    for name in ("features", "targets"):
        columns = getattr(data, name)
        if columns is None:
            what = Data.model_fields[name].description
            yield ("data", name), f"is required; add `{name}: [COLUMN, ...]` ({what})"
            continue
        for index, column in enumerate(columns):
            if column in columns[:index]:
                yield ("data", name, index), f"`{column}` is listed twice; keep one"
        if data.time is not None and data.time in columns:
            yield ("data", name), f"`{data.time}` is the column of times; remove it from the list"
    for column in data.targets or []:
        change = data.task == "forecast" and data.target_transform == "change"
        if change and column not in (data.features or [column]):
            meant = nearest(column, data.features or [])
            remedy = "add it, or set `target_transform: level`"
            yield (
                ("data", "features"),
                f"a change is counted from the last value, so the target `{column}` must be a "
                f"feature; {f'did you mean `{meant}`?' if meant else remedy}",
            )


def _split_rules(config: Config) -> Iterator[tuple[Key, str]]:
    split = config.data.split
    total = sum(share or 0.0 for share in (split.valid, split.calibration, split.test))
    if total >= 1:
        yield (
            ("data", "split"),
            f"valid + calibration + test must leave rows to train on, found a sum of {total:g}; "
            "lower them",
        )


def _training_rules(config: Config) -> Iterator[tuple[Key, str]]:
    training, task = config.training, config.data.task
    if training.warmup_epochs >= training.epochs:
        yield (
            ("training", "warmup_epochs"),
            f"must be below training.epochs = {training.epochs}, found {training.warmup_epochs}; "
            "lower it",
        )
    if training.loss is None or ":" in training.loss:
        return
    if (training.loss == "cross_entropy") != (task == "classification"):
        yield ("training", "loss"), f"{training.loss!r} does not fit task {task!r}; remove it"
    elif (training.loss == "normal_nll") != (config.model.likelihood == "normal"):
        yield (
            ("training", "loss"),
            f"{training.loss!r} does not fit model.likelihood {config.model.likelihood!r}; "
            "remove the loss, or set the likelihood that belongs to it",
        )
