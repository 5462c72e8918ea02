"""The tables of the study as Markdown: mean ± standard error over the splits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

TITLES = {
    "diabetes": "diabetes (scikit-learn): 442 rows, a number",
    "star98": "star98 (statsmodels): 303 rows, a share in per cent",
    "breast_cancer": "breast_cancer (scikit-learn): 569 rows, two classes",
    "digits": "digits (scikit-learn): 1797 rows, ten classes",
    "co2": "co2 (statsmodels): irregular series, ppm",
}
COLUMNS = {
    "rmse": ("RMSE", 1),
    "accuracy": ("accuracy, %", 100),
    "nll": ("NLL", 1),
    "crps": ("CRPS", 1),
    "brier": ("Brier", 1),
    "ece": ("ECE", 1),
    "coverage": ("in the 90 % interval, %", 100),
    "conformal": ("calibrated, %", 100),
}
CROWDS = {"alike": "eight alike", "unlike": "eight of four kinds", "regime": "regime, eight alike"}
CROWDS["shared"] = "shared weights, eight alike"
FIRST = ("single", "best", "uniform")

Scores = Mapping[str, list]


def mean_and_error(values) -> tuple[float, float]:
    """The mean over splits and its standard error; NaN where there is nothing.

    >>> mean_and_error([1.0, 3.0])
    (2.0, 1.0)
    """
    values = np.array(values, float)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(values.mean()), float(error)


def gain(results: Mapping[str, Scores], method: str, against: str, score: str = "nll"):
    """How much less a score is than another method's on the same splits, with its error."""
    own, other = (np.array(results.get(m, {}).get(score, [None]), float) for m in (method, against))
    return mean_and_error(other - own)


def table(results: Mapping[str, Scores]) -> str:
    """One data set: a row per crowd and method."""
    columns = [c for c in COLUMNS if any(c in scores for scores in results.values())]
    head = ["", *(COLUMNS[c][0] for c in columns), "NLL below single", "NLL below uniform"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for crowd, title in CROWDS.items():
        rows = ordered([m for m in results if m.startswith(f"{crowd}: ")])
        if rows:
            lines.append(f"| **{title}** |" + " |" * (len(head) - 1))
        lines += [_row(results, method, columns) for method in rows]
    return "\n".join(lines)


def ordered(methods: list[str]) -> list[str]:
    """The single member, the best, uniform weights, then the others."""

    def place(method: str) -> int:
        name = method.split(": ")[1]
        return FIRST.index(name) if name in FIRST else len(FIRST)

    return sorted(methods, key=place)


def _row(results: Mapping[str, Scores], method: str, columns: list[str]) -> str:
    cells = [_cell(results[method].get(column), column) for column in columns]
    crowd, name = method.split(": ")
    like = "unlike" if crowd == "unlike" else "alike"
    for against in ("single", "uniform"):
        known = crowd in ("alike", "unlike") and name in ("single", against)
        cells.append("" if known else _gain(*gain(results, method, f"{like}: {against}")))
    return f"| {name} | " + " | ".join(cells) + " |"


def _cell(values, column: str) -> str:
    mean, error = mean_and_error([None] if values is None else values)
    factor = COLUMNS[column][1]
    if not np.isfinite(mean):
        return "–"
    digits = min(_digits(error * factor), 1 if factor == 100 else 3)
    return f"{mean * factor:.{digits}f} ± {error * factor:.{digits}f}"


def _gain(mean: float, error: float) -> str:
    """Bold where it is more than two standard errors away from nothing."""
    if not np.isfinite(mean):
        return "–"
    digits = _digits(error)
    text = f"{mean:+.{digits}f} ± {error:.{digits}f}".replace("-", "−")
    return f"**{text}**" if abs(mean) > 2 * error else text


def _digits(error: float) -> int:
    """Two figures of the error, at most three after the point.

    >>> _digits(1.2), _digits(0.004)
    (1, 3)
    """
    if not np.isfinite(error) or error <= 0:
        return 3
    return int(np.clip(1 - np.floor(np.log10(error)), 0, 3))


def document(results: Mapping[str, Mapping[str, Scores]]) -> str:
    """All tables."""
    parts = [f"### {TITLES[name]}\n\n{table(found)}" for name, found in results.items()]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(document(json.loads((Path(__file__).parent / "results.json").read_text())))
