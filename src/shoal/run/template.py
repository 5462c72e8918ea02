"""The commented configuration that `shoal init` writes, and a first look at the data for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from shoal.run.errors import Refused, refusing

_TIMES = re.compile(r"(date|time|datetime|timestamp|ds|t|day|week|month|year)", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")
_MISSING = ("", "nan", "na", "n/a", "null", "none")
_CYCLES = {"year": 365.25, "week": 7.0, "day": 1.0}  # in days


@dataclass(frozen=True)
class Guess:
    """What the columns of a file are most likely for; a person corrects it in the file."""

    path: str = "co2_weekly.csv"
    time: str | None = "date"
    features: tuple[str, ...] | None = ("co2",)
    targets: tuple[str, ...] | None = ("co2",)
    series: str | None = None
    task: str = "forecast"
    calendar: tuple[str, ...] = ("year",)
    window: int | None = 52
    horizon: int = 26


def render(guess: Guess, name: str | None = None, template: str | None = None) -> str:
    """The template, or another one with the same places, as text.

    >>> render(Guess()).splitlines()[0]
    '# A Shoal configuration. Train with:  shoal train FILE'
    """
    text = (template or _TEMPLATE).format(
        path=_word(guess.path),
        time=_word(guess.time),
        features=_list(guess.features),
        targets=_list(guess.targets),
        series=_word(guess.series),
        task=guess.task,
        transform="level" if guess.features is None else "change",
        likelihood="point" if guess.task == "classification" else "normal",
        calendar=_list(guess.calendar),
        window=_word(guess.window),
        horizon=guess.horizon,
        name=name or _name(guess.path),
    )
    return "\n".join(map(_aligned, text.split("\n")))


def _aligned(line: str) -> str:
    """The comment behind `#|` in the column where comments stand."""
    code, mark, comment = line.partition(" #|")
    return f"{code:<30}  #{comment}" if mark else code


def guess_columns(path: str | Path) -> Guess:
    """Read a file and guess what its columns are for; of arrays, what is asked.

    Raises:
        Refused: the file cannot be read, or has no column of numbers.
    """
    path = Path(path)
    if path.suffix.lower() == ".npz":
        return _guess_arrays(path)
    columns = _look(path)
    time = _time_column(columns)
    numbers = [name for name, cells in columns.items() if name != time and _are_numbers(cells)]
    if not numbers:
        raise Refused(
            f"{path}: no column holds numbers; separate cells by commas, semicolons or tabs, and "
            "write numbers with a decimal point"
        )
    words = [name for name in columns if name not in numbers and name != time]
    count = len(columns[numbers[0]])
    series = next((name for name in words if 1 < len(set(columns[name])) <= count // 2), None)
    return Guess(
        path=str(path),
        time=time or next(iter(columns)),
        features=tuple(numbers),
        targets=(numbers[-1],),
        series=series,
        calendar=_calendar(columns[time]) if time else (),
        window=max(4, min(52, count // 20)),
        horizon=max(1, min(26, count // 40)),
    )


def _guess_arrays(path: Path) -> Guess:
    """Labels in words are classes, answers with a horizon forecasts, and others regression."""
    from shoal.data import read_arrays

    with refusing(str(path)):
        arrays = read_arrays(path)
    if "x" not in arrays or "y" not in arrays:
        found = ", ".join(sorted(arrays)) or "nothing"
        raise Refused(f"{path}: needs the arrays `x` and `y`, found {found}; name them so")
    y = arrays["y"]
    words, steps = y.dtype.kind in "US", y.ndim == 3
    task = "classification" if words else "forecast" if steps else "regression"
    horizon = y.shape[1] if steps else 1
    return Guess(str(path), None, None, None, None, task, (), None, horizon)


def _look(path: Path) -> dict[str, list[str]]:
    """The cells of every column, as text."""
    from shoal.data import read_table

    with refusing(str(path)):
        table = read_table(path)
    return {name: [str(cell).strip() for cell in cells] for name, cells in table.columns.items()}


def _calendar(cells: Sequence[str]) -> tuple[str, ...]:
    """The cycles that the dates cover twice, and see four times or more."""
    try:
        days = sorted({datetime.fromisoformat(cell).timestamp() / 86400 for cell in cells if cell})
    except ValueError:  # numbers, or dates in words of their own
        return ()
    span = days[-1] - days[0] if days else 0.0
    gap = span / max(len(days) - 1, 1)
    return tuple(name for name, cycle in _CYCLES.items() if span >= 2 * cycle and 4 * gap <= cycle)


def _time_column(columns: dict[str, list[str]]) -> str | None:
    named = [name for name in columns if _TIMES.fullmatch(name)]
    dates = [name for name, cells in columns.items() if cells and _DATE.fullmatch(cells[0])]
    return next(iter([*dates, *named]), None)


def _are_numbers(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell.strip().lower() not in _MISSING]
    try:
        [float(cell) for cell in filled]
    except ValueError:
        return False
    return bool(filled)


def _word(value: str | int | None) -> str:
    """A value as YAML writes it, quoted where it must be."""
    return yaml.safe_dump(value, width=1000, allow_unicode=True).removesuffix("...\n").strip()


def _list(values: Sequence[str] | None) -> str:
    return "null" if values is None else "[" + ", ".join(_word(value) for value in values) + "]"


def _name(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(path).stem).lstrip(".-") or "run"


_TEMPLATE = """\
# A Shoal configuration. Train with:  shoal train FILE
# Any value can be changed for one run: shoal train FILE --set training.epochs=5

seed: 0 #| the one model's seed when ensemble.enabled is false

data:
  path: {path} #| CSV, Parquet or NPZ, relative to this file
  time: {time} #| the column of times: ISO dates or numbers; gaps are welcome
  features: {features} #| what a model sees
  targets: {targets} #| what it predicts
  series: {series} #| the column that tells several series apart
  task: {task} #| forecast | regression | classification
  window: {window} #| observations a model sees
  window_every: 1 #| keep every n-th observation: 4 sees four times as far back
  horizon: {horizon} #| steps ahead that are predicted
  step: null #| the time between two steps; null: the usual gap
  target_transform: {transform} #| level | change (since the last observed value)
  input_transform: level #| level | change (what a model sees of the features)
  calendar: {calendar} #| phases of time as features: year, week, day
  split: {{valid: 0.15, calibration: 0.15, test: 0.15}} #| in the order of time; the rest trains

model:
  kind: cfc #| cfc | ltc | ctrnn | ctgru | lstm | gru | mlp
  units: 32 #| neurons; leave it out where a wiring is given
  wiring: null #| e.g. {{kind: auto_ncp, units: 64, outputs: 8}}
  num_layers: 1
  likelihood: {likelihood} #| normal: every member predicts mean and spread | point
  time_scaling: normalised #| raw | log | normalised | zscore | bounded

training:
  epochs: 100
  batch_size: 64
  learning_rate: 1.0e-3
  data_seed: 0 #| the order of the data, the same for all members
  optimizer: adam #| adam | adamw | sgd | rmsprop | lion
  schedule: constant #| constant | cosine
  warmup_epochs: 0
  clip_norm: null #| bound on the gradient's norm
  weight_decay: 0.0
  dropout: null
  loss: null #| null: what fits the predictions
  patience: 20 #| epochs without progress before a member stops
  strategy: auto #| auto | vmap | loop
  devices: auto #| parts the processor is split into
  checkpoint: {{every_epochs: null, every_seconds: 30.0}}

ensemble:
  enabled: true #| false: one model, with the seed above
  n_models: 5
  base_seed: 42 #| members use 42, 43, 44, ...
  save_all_models: false #| false: only the best is exported
  members: null #| e.g. [{{}}, {{units: 64}}, {{kind: gru}}]: unlike members, taken in turn
  weighting: {{kind: uniform}}
  regime: {{kind: independent}}
  stopping: {{sigma: 2.0, warmup: 5, patience: 3}} #| members that fall behind the others

calibration:
  method: conformal #| conformal | cqr | enbpi (of bagged members) | null
  score: auto #| scaled | absolute
  level: 0.9 #| the interval that the report shows
  recalibrate: null #| temperature (classes) | variance (normal) | auto, on the validation block
  recalibrate_by: crowd #| crowd | member
  novelty: auto #| what `shoal predict --novelty` goes by

export:
  name: {name} #| files are called NAME_best.mlir, ...
  dir: exported_models
  stablehlo: true
  pickle: false #| true: also NAME_best_params.pkl

report: {{enabled: true}}
"""
