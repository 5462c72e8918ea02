"""Malformed inputs: how each is made from a good one, and what its refusal must say.

A configuration case edits the text of a good configuration; a data case replaces the CSV's text,
its bytes, or edits the configuration beside it. `says` are parts of the message: the place first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

CONFIG = """\
seed: 0
data:
  path: data.csv
  time: date
  features: [a, b]
  targets: [a]
  window: 6
  horizon: 2
model:
  kind: cfc
  units: 4
training:
  epochs: 1
ensemble:
  enabled: true
  n_models: 2
export: {name: thing}
"""


def rows(count: int = 60) -> list[str]:
    """A good table: a header, then days."""
    lines = ["date,a,b"]
    for i in range(count):
        month, day = divmod(i, 28)
        lines.append(f"2020-{month + 1:02d}-{day + 1:02d},{i % 7}.5,{i * 0.25}")
    return lines


def table(edit: Callable[[list[str]], None] | None = None, count: int = 60) -> str:
    """The good table with lines edited in place."""
    lines = rows(count)
    if edit is not None:
        edit(lines)
    return "\n".join(lines) + "\n"


def line(number: int, text: str) -> str:
    """The good table with one line (as an editor counts) replaced."""

    def edit(lines: list[str]) -> None:
        lines[number - 1] = text

    return table(edit)


@dataclass(frozen=True)
class Case:
    """One malformed input."""

    name: str
    says: tuple[str, ...]
    config: str | bytes | None = CONFIG
    data: str | bytes | None = None
    sets: tuple[str, ...] = ()
    data_name: str = "data.csv"


def swap(old: str, new: str) -> str:
    """The good configuration with one part replaced."""
    assert old in CONFIG, old
    return CONFIG.replace(old, new, 1)


FILES = [
    Case("no configuration", ("config.yaml", "no such file"), config=None),
    Case("empty", ("config.yaml", "is empty", "shoal init"), config=""),
    Case("only comments", ("config.yaml", "is empty"), config="# hello\n"),
    Case("a list", ("config.yaml:1", "must be a mapping"), config="- a\n"),
    Case("a word", ("config.yaml:1", "must be a mapping"), config="train\n"),
    Case("tabs", ("config.yaml:3", "tab", "spaces"), config=swap("  path", "\tpath")),
    Case("not UTF-8", ("config.yaml", "UTF-8"), config=b"seed: 0 # \xff\xfe\n"),
    Case("binary", ("config.yaml", "UTF-8"), config=b"seed: \x00\x01\x02\n"),
    Case("open bracket", ("config.yaml", "brackets"), config=swap("[a, b]", "[a, b")),
    Case("open quote", ("config.yaml", "quotes"), config=swap("date", '"date')),
    Case("bad indentation", ("config.yaml:4", "indentation"), config=swap("  time", "   time")),
    Case("two documents", ("config.yaml", "second document"), config=CONFIG + "---\nseed: 1\n"),
    Case(
        "key twice", ("config.yaml:18: seed", "second time", "line 1"), config=CONFIG + "seed: 1\n"
    ),
    Case(
        "nested key twice",
        ("config.yaml:5: data.path", "second time"),
        config=swap("  time: date\n", "  time: date\n  path: b.csv\n"),
    ),
    Case(
        "python object",
        ("config.yaml:1: seed", "not allowed"),
        config=swap("seed: 0", "seed: !!python/object/apply:os.getpid []"),
    ),
    Case("own tag", ("config.yaml:1: seed", "tag"), config=swap("seed: 0", "seed: !secret 3")),
    Case(
        "alias",
        ("config.yaml:6: data.targets", "alias"),
        config=swap("[a, b]", "&x [a]").replace("targets: [a]", "targets: *x"),
    ),
    Case("unquoted star", ("config.yaml:6", "alias"), config=swap("targets: [a]", "targets: *")),
]

KEYS = [
    Case(
        "misspelt section",
        ("config.yaml:12: trainig", "did you mean `training`"),
        config=swap("training", "trainig"),
    ),
    Case(
        "misspelt key",
        ("config.yaml:13: training.epocs", "did you mean `epochs`"),
        config=swap("epochs", "epocs"),
    ),
    Case(
        "misspelt required key",
        ("config.yaml:3: data.pth", "did you mean `path`"),
        config=swap("path", "pth"),
    ),
    Case(
        "key of another section",
        ("config.yaml:16: ensemble.epochs", "training.epochs"),
        config=swap("n_models: 2", "epochs: 2"),
    ),
    Case(
        "key of another kind",
        ("config.yaml:11: model.ode_unfolds", "`ltc`"),
        config=swap("units: 4", "ode_unfolds: 4"),
    ),
    Case("no data", ("config.yaml", "data: is required"), config="model: {kind: cfc}\n"),
    Case("no model", ("config.yaml", "model: is required"), config="data: {path: data.csv}\n"),
    Case(
        "section without content",
        ("config.yaml:2: data", "section", "null"),
        config="seed: 0\ndata:\nmodel: {kind: cfc}\n",
    ),
    Case(
        "section that is a number",
        ("config.yaml:12: training", "section"),
        config=swap("training:\n  epochs: 1", "training: 5"),
    ),
    Case(
        "no features",
        ("config.yaml", "data.features", "required"),
        config=swap("  features: [a, b]\n", ""),
    ),
    Case(
        "no kind",
        ("config.yaml", "model.kind", "choose from"),
        config=swap("  kind: cfc\n", ""),
    ),
]

VALUES = [
    Case("unknown kind", ("config.yaml:10: model.kind", "`cfc`"), config=swap("cfc", "cfg")),
    Case(
        "number as text",
        ("config.yaml:13: training.epochs", "whole number", "'many'"),
        config=swap("epochs: 1", "epochs: many"),
    ),
    Case(
        "half an epoch",
        ("config.yaml:13: training.epochs", "1.5"),
        config=swap("epochs: 1", "epochs: 1.5"),
    ),
    Case(
        "no members",
        ("config.yaml:16: ensemble.n_models", "at least 1"),
        config=swap("n_models: 2", "n_models: 0"),
    ),
    Case(
        "yes",
        ("config.yaml:15: ensemble.enabled", "write `true`"),
        config=swap("enabled: true", "enabled: yes"),
    ),
    Case(
        "negative seed", ("config.yaml:1: seed", "at least 0"), config=swap("seed: 0", "seed: -3")
    ),
    Case(
        "negative window",
        ("config.yaml:7: data.window", "at least 1"),
        config=swap("window: 6", "window: -6"),
    ),
    Case(
        "no horizon",
        ("config.yaml:8: data.horizon", "at least 1"),
        config=swap("horizon: 2", "horizon: 0"),
    ),
    Case(
        "columns without a list",
        ("config.yaml:6: data.targets", "write `[a]`"),
        config=swap("targets: [a]", "targets: a"),
    ),
    Case(
        "name with a slash",
        ("config.yaml:17: export.name", "letters"),
        config=swap("name: thing", "name: ../thing"),
    ),
    Case(
        "shares above one",
        ("config.yaml:8: data.split", "train"),
        config=swap("  horizon: 2", "  split: {valid: 0.5, test: 0.6}"),
    ),
    Case(
        "infinite rate", ("--set", "training.learning_rate"), sets=("training.learning_rate=.inf",)
    ),
    Case("zero rate", ("--set", "learning_rate", "above 0"), sets=("training.learning_rate=0",)),
    Case("dropout of one", ("--set", "dropout", "below 1"), sets=("training.dropout=1.0",)),
    Case("level in per cent", ("--set", "calibration.level"), sets=("calibration.level=90",)),
    Case("loss that fits not", ("--set", "cross_entropy"), sets=("training.loss=cross_entropy",)),
    Case(
        "too many outputs",
        ("--set", "model.wiring.outputs"),
        sets=("model.units=null", "model.wiring={kind: auto_ncp, units: 8, outputs: 9}"),
    ),
    Case(
        "units against the wiring",
        ("model.units", "8 neurons"),
        sets=("model.wiring={kind: auto_ncp, units: 8, outputs: 2}",),
    ),
    Case(
        "weights of others",
        ("ensemble.weighting.weights", "(2)"),
        sets=("ensemble.weighting={kind: fixed, weights: [1, 2, 3]}",),
    ),
    Case(
        "override without value", ("--set training.epochs", "path=value"), sets=("training.epochs",)
    ),
    Case(
        "unknown override", ("--set", "did you mean `training.epochs`"), sets=("training.epoch=2",)
    ),
    Case("broken override", ("--set", "brackets"), sets=("data.features=[a",)),
]

DATA = [
    Case(
        "no data file", ("config.yaml:3: data.path", "data.csv"), config=swap("data.csv", "dta.csv")
    ),
    Case("data is a folder", ("config.yaml:3", "is a folder"), config=swap("data.csv", ".")),
    Case(
        "unknown extension",
        ("data.xlsx", "use .csv"),
        config=swap("data.csv", "data.xlsx"),
        data="a",
        data_name="data.xlsx",
    ),
    Case("empty data", ("data.csv", "empty"), data=""),
    Case("header only", ("data.csv", "no row"), data="date,a,b\n"),
    Case("data not UTF-8", ("data.csv", "UTF-8"), data=b"date,a,b\n2020-01-01,\xff,1\n"),
    Case("column twice", ("data.csv", "line 1", "'a' twice"), data=line(1, "date,a,a")),
    Case("unknown feature", ("data.csv", "'c'"), config=swap("[a, b]", "[a, c]")),
    Case(
        "misspelt feature",
        ("data.csv", "did you mean 'a'"),
        config=swap("[a, b]", "[A, b]"),
    ),
    Case("unknown time", ("data.csv", "'dat'", "'date'"), config=swap("time: date", "time: dat")),
    Case("ragged row", ("data.csv", "line 9", "cells"), data=line(9, "2020-01-08,1")),
    Case("word for a number", ("data.csv", "line 5", "'a'", "'x'"), data=line(5, "2020-01-04,x,1")),
    Case(
        "decimal comma",
        ("data.csv", "line 5", "'a'", "point"),
        data=line(5, '2020-01-04,"1,5",1'),
    ),
    Case("infinite", ("data.csv", "line 7", "'b'", "infinite"), data=line(7, "2020-01-06,1,inf")),
    Case("unreadable date", ("data.csv", "line 4", "'date'"), data=line(4, "yesterday,1,1")),
    Case("impossible date", ("data.csv", "line 4", "'date'"), data=line(4, "2020-02-31,1,1")),
    Case("ambiguous date", ("data.csv", "line 2", "YYYY-MM-DD"), data=line(2, "03/04/2020,1,1")),
    Case("empty date", ("data.csv", "line 4", "empty"), data=line(4, ",1,1")),
    Case("date twice", ("data.csv", "line 4", "line 3"), data=line(4, "2020-01-02,1,1")),
    Case("time goes back", ("data.csv", "line 9", "sort"), data=line(9, "2020-01-01,1,1")),
    Case("too few rows", ("data.csv", "too few rows", "window"), data=table(count=5)),
    Case("window too long", ("data.csv", "too few rows"), sets=("data.window=500",)),
    Case(
        "constant target",
        ("data.csv", "'a'", "constant"),
        data="\n".join(
            ["date,a,b", *(f"{r.split(',')[0]},3,{i}" for i, r in enumerate(rows()[1:]))]
        ),
    ),
    Case(
        "target without values",
        ("data.csv", "'a'"),
        data="\n".join(
            ["date,a,b", *(f"{r.split(',')[0]},,{i}" for i, r in enumerate(rows()[1:]))]
        ),
    ),
    Case(
        "split date outside",
        ("config.yaml", "split", "choose a date inside"),
        sets=("data.split={valid_from: 2031-01-01}",),
    ),
    Case(
        "block too small",
        ("config.yaml", "split", "test"),
        sets=("data.split={test: 0.02}",),
    ),
    Case(
        "calendar without dates",
        ("data.csv", "calendar"),
        sets=("data.calendar=[year]", "data.time=b", "data.features=[a]"),
    ),
    Case(
        "not a Parquet file",
        ("data.parquet", "Parquet"),
        config=swap("data.csv", "data.parquet"),
        data="hello",
        data_name="data.parquet",
    ),
    Case(
        "not an NPZ file",
        ("data.npz", "NPZ"),
        config=swap("data.csv", "data.npz"),
        data="hello",
        data_name="data.npz",
    ),
]

CASES = [*FILES, *KEYS, *VALUES, *DATA]
