"""What a search leaves behind: the table, and the best configuration as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shoal.run import files
from shoal.run.closing import aligned, number
from shoal.tune.applying import applied
from shoal.tune.dimensions import label
from shoal.tune.outcome import Outcome, Tried
from shoal.tune.plan import TunePlan


def write_table(plan: TunePlan, outcome: Outcome) -> None:
    """`trials.csv` and `trials.parquet`, whole or not at all."""
    import pandas as pd

    columns = {name: _plain(values) for name, values in outcome.columns().items()}
    frame = pd.DataFrame(columns)
    with files.replacing(plan.folder.table) as temporary:
        frame.to_csv(temporary, index=False)
    with files.replacing(plan.folder.parquet) as temporary:
        frame.to_parquet(temporary, index=False)


def write_best(plan: TunePlan, outcome: Outcome) -> None:
    """`best.yaml`: what was asked, with the best trial's values, without the search."""
    best = outcome.best
    figures = ", ".join(f"{name} {number(value)}" for name, value in best.values.items())
    comment = (
        f"# The best of {len(outcome.trials)} trials: number {best.number}, {figures}.\n"
        f"# Train with:  shoal train {plan.folder.best}\n"
    )
    files.write_yaml(plan.folder.best, applied(plan.document, best.point).data, comment)


def closing(outcome: Outcome, most: int = 5) -> str:
    """The best trials, or the front of several objectives, and how the others ended."""
    rows = outcome.front if len(outcome.metrics) > 1 else outcome.ranked[:most]
    paths = list(outcome.space.dimensions)
    short = _short_names(paths)
    header = ("trial", *outcome.metrics, *(short[path] for path in paths), "epochs")
    cells = [_row(outcome, one, paths) for one in rows]
    states = [one.state for one in outcome.trials]
    counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(sorted(states)))
    what = "the front" if len(outcome.metrics) > 1 else f"the best {len(rows)}"
    return f"{what} of {len(states)} trials ({counts})\n" + aligned(header, cells)


def line(outcome_metrics: Sequence[str], trial: Tried, best: bool) -> str:
    """One trial in a line."""
    point = ", ".join(f"{_last(path)} {_said(value)}" for path, value in trial.point.items())
    if trial.state != "complete":
        return f"trial {trial.number:>4}  {trial.state}: {trial.facts.get('reason')}  ({point})"
    figures = "  ".join(f"{name} {number(trial.values[name])}" for name in outcome_metrics)
    return f"trial {trial.number:>4}  {figures}{' *' if best else '  '}  {point}"


def _row(outcome: Outcome, one: Tried, paths: Sequence[str]) -> tuple[str, ...]:
    figures = (number(one.values[name]) for name in outcome.metrics)
    values = (_said(one.point[path]) if path in one.point else "–" for path in paths)
    return (str(one.number), *figures, *values, str(one.facts.get("epochs", "–")))


def _short_names(paths: Sequence[str]) -> Mapping[str, str]:
    """The last part of each path, where it is the only one."""
    ends = [_last(path) for path in paths]
    return {p: end if ends.count(end) == 1 else p for p, end in zip(paths, ends, strict=True)}


def _last(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return (
        {None: "null", True: "true", False: "false"}.get(value, str(value))
        if (value is None or isinstance(value, bool))
        else str(label(value))
    )


def _plain(values: Sequence[Any]) -> list[Any]:
    """A column that Parquet can hold: of one type, or texts."""
    known = [value for value in values if value is not None]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in known)
    alike = len({type(value) for value in known}) <= 1
    if numbers or (alike and not isinstance(next(iter(known), ""), list | dict)):
        return list(values)
    return [None if value is None else str(label(value)) for value in values]
