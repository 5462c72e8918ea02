"""Tables in text: who is in the new crowd, and how two or more compare on held-out rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shoal.run.closing import aligned, number

SHOWN = ("count", "rmse", "mae", "crps", "nll", "std", "accuracy", "log_loss", "brier", "ece")


def comparison(rows: Mapping[str, Mapping[str, Any]], title: str) -> str:
    """A row of figures for each of several; `rows` hold the `overall` of `shoal.score.evaluate`.

    >>> print(comparison({"before": {"rmse": 2.0}, "after": {"rmse": 1.0}}, "on new rows"))
    on new rows
            rmse
    before     2
     after     1
    """
    names = [name for name in SHOWN if any(row.get(name) is not None for row in rows.values())]
    covered = any("0.9" in row.get("coverage", {}) for row in rows.values())
    header = ("", *names, *(("in 90 %",) if covered else ()))
    cells = []
    for label, row in rows.items():
        inside = (number(row.get("coverage", {}).get("0.9")),) if covered else ()
        cells.append((label, *(number(row.get(name)) for name in names), *inside))
    return f"{title}\n" + aligned(header, cells)


def roll(members: Sequence[Mapping[str, Any]], weights: Sequence[float]) -> str:
    """The members of an updated crowd: what became of each, and how much it counts."""
    header = ("member", "seed", "was", "loss", "epochs", "weight", "what")
    rows = [
        (
            str(one["index"]),
            str(one["seed"]),
            number(one["before"]),
            number(one["best_loss"]),
            str(one["epochs"]),
            number(weight),
            one["status"],
        )
        for one, weight in zip(members, weights, strict=True)
    ]
    return aligned(header, rows)
