"""The last lines of a run: what was reached, by whom, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def closing_table(facts: Mapping[str, Any]) -> str:
    """Members, statistics over them, and the collective's figures on held-out data, as text."""
    parts = [_members(facts["members"], facts["best_model_index"]), _statistics(facts)]
    figures = facts["collective"].get(facts["held_out"])
    if figures:
        parts.append(held_out_table(figures, facts["held_out"]))
    return "\n\n".join(parts)


def _members(members: Sequence[Mapping[str, Any]], best: int | None) -> str:
    rows = [
        (
            f"{one['index']}{'*' if one['index'] == best else ' '}",
            str(one["seed"]),
            number(one["best_loss"]),
            "–" if one["best_epoch"] is None else str(one["best_epoch"] + 1),
            number(one["final_loss"]),
            one["status"],
        )
        for one in members
    ]
    return aligned(("member", "seed", "loss", "epoch", "final", "status"), rows)


def _statistics(facts: Mapping[str, Any]) -> str:
    best = facts["best_model_index"]
    return (
        f"validation loss: mean {number(facts['mean_loss'])}, std {number(facts['std_loss'])}, "
        f"variance {number(facts['variance_loss'])}; best member {best} "
        f"(seed {facts['best_model_seed']}) {number(facts['best_model_loss'])}"
    )


_SHOWN = ("count", "rmse", "mae", "crps", "nll", "std", "accuracy", "log_loss", "brier", "ece")


def held_out_table(figures: Mapping[str, Any], block: str) -> str:
    """A row per horizon (a few of many), and one over all."""
    rows = [("all", figures["overall"])]
    horizons = figures.get("per_horizon", [])
    for index in chosen(len(horizons)) if len(horizons) > 1 else ():
        rows.append((f"step {horizons[index].get('step', index + 1)}", horizons[index]))
    names = [name for name in _SHOWN if figures["overall"].get(name) is not None]
    covered = "0.9" in figures["overall"].get("coverage", {})
    header = ("", *names, *(("in 90 %",) if covered else ()))
    cells = []
    for label, row in rows:
        values = [number(row.get(name)) for name in names]
        inside = [number(row["coverage"]["0.9"])] if covered else []
        cells.append((label, *values, *inside))
    units = "" if "accuracy" in names else ", in the targets' units"
    return f"the collective on the {block} block{units}\n" + aligned(header, cells)


def chosen(count: int, most: int = 6) -> list[int]:
    """At most `most` of `count` places, the first and the last among them.

    >>> chosen(4), chosen(26)
    ([0, 1, 2, 3], [0, 5, 10, 15, 20, 25])
    """
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]


def number(value: Any) -> str:
    """A figure in four digits.

    >>> number(0.123456), number(None), number(52)
    ('0.1235', '–', '52')
    """
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text, to the right but for the last of words."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
    return "\n".join(lines)
