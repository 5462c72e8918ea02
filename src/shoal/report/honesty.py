"""What recalibration and calibration changed: the crowd's scores before and after."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from shoal.report.measures import percent, short
from shoal.report.results import Results
from shoal.report.tables import table

COLUMNS = {
    "nll": "NLL",
    "log_loss": "log loss",
    "brier": "Brier",
    "ece": "ECE",
    "crps": "CRPS",
    "spread_skill": "spread / error",
    "error": "coverage error",
    "coverage": "coverage",
    "width": "width",
}


def before_after(results: Results) -> str:
    """The table of stages, and what was fitted, in words."""
    rows = results.calibration_stages
    if len(rows) < 2:
        return _fitted(results.recalibration)
    keys = [k for k in COLUMNS if any(row.get(k) is not None for row in rows)]
    head = '<th class="text">the crowd</th>' + "".join(
        f"<th>{escape(_title(k, rows))}</th>" for k in keys
    )
    body = "".join(
        f'<tr><th class="text">{escape(str(row["stage"]))}</th>'
        + "".join(f"<td>{_cell(k, row.get(k))}</td>" for k in keys)
        + "</tr>"
        for row in rows
    )
    said = _fitted(results.recalibration)
    return table("What calibration changed, on held-out data", head, body) + said


def _title(key: str, rows: Any) -> str:
    level = next((row["level"] for row in rows if row.get("level")), None)
    if level is not None and key in ("coverage", "width"):
        return f"{percent(level)} {COLUMNS[key]}"
    return COLUMNS[key]


def _cell(key: str, value: Any) -> str:
    if value is None or not np.isfinite(value):
        return "–"
    return percent(value) if key == "coverage" else escape(short(value))


def _fitted(facts: Mapping[str, Any] | None) -> str:
    """What the recalibration is, and what it was fitted on."""
    if not facts:
        return ""
    values = np.asarray(facts["values"], float).ravel()
    what = "temperature" if facts["kind"] == "temperature" else "factor of the predicted spread"
    found = short(float(values[0]))
    if len(values) > 1:
        found = f"{short(float(values.min()))} to {short(float(values.max()))}, one for each member"
    grew = float(np.exp(np.log(values).mean()))
    verdict = "the members were too sure of themselves" if grew > 1.02 else "it changed little"
    verdict = "the members were too modest" if grew < 0.98 else verdict
    said = f"Recalibration: {what} {found}; {verdict}."
    if facts.get("rows"):
        said += f" Fitted on {facts['rows']:,} values of the validation block"
        if facts.get("before") is not None and facts.get("after") is not None:
            said += f", whose NLL went from {short(facts['before'])} to {short(facts['after'])}"
        said += "."
    if facts.get("at_limit"):
        said += " It stands at the end of what is allowed: the validation block says too little."
    return f"<p>{escape(said)}</p>"
