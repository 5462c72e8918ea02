"""What was found, in words, tables and the data of its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.report.find import Finding, RateCurve, ScaleTable, SizeTable
from shoal.run.closing import aligned, number
from shoal.tune.finding.batch_sizes import BatchSizes
from shoal.tune.finding.memory import spoken
from shoal.tune.finding.rates import RateRange
from shoal.tune.finding.time_scalings import TimeScalings

if TYPE_CHECKING:
    from shoal.tune.finding.configured import Found


def lines(found: Found) -> Iterator[str]:
    """What the command prints: the table, the reason, and the number to paste."""
    table = rows(found.result)
    if table:
        cells = [[_cell(value) for value in row.values()] for row in table]
        yield aligned(list(table[0]), cells)
    yield from sentences(found)
    yield from paste(found)
    yield f"report    {found.report}"


def finding(found: Found, name: str, config: Mapping[str, Any]) -> Finding:
    """What the page is made from."""
    return Finding(
        name=name,
        what=found.what.replace("-", " "),
        sentences=list(sentences(found)),
        seen=seen(found.result),
        paste=list(paste(found)),
        caption=caption(found.result),
        rows=rows(found.result),
        about={"folder": str(found.folder), **config},
    )


def facts(found: Found) -> dict[str, Any]:
    """Everything that was measured, as JSON."""
    told = {"what": found.what, "path": found.path, "value": found.value, "reason": found.reason}
    result = found.result
    if isinstance(result, RateRange):
        curves = {"rates": result.rates, "losses": result.losses, "median": result.median}
        return {**told, "seeds": result.seeds, "smoothing": result.smoothing, **curves}
    if isinstance(result, BatchSizes):
        return {**told, "limit": result.limit, "sizes": [asdict(one) for one in result.measured]}
    scales = {one.kind: one.losses for one in result.scales}
    return {**told, "current": result.current, "losses": scales, "notes": result.notes}


def sentences(found: Found) -> Iterator[str]:
    """The value, why it was chosen, and what else should be known."""
    called = found.what.replace("-", " ")
    value = "nothing was found" if found.value is None else f"{called} {found.value}"
    yield f"{value}: {found.reason}"
    if isinstance(found.result, TimeScalings):
        yield from found.result.notes


def paste(found: Found) -> list[str]:
    """The line of a configuration, and the option of a command line."""
    return [] if found.value is None else [found.line, found.option]


def caption(result: RateRange | BatchSizes | TimeScalings) -> str:
    """Of the table."""
    if isinstance(result, BatchSizes):
        return f"Rows a second of all members, and memory of {spoken(result.limit)} on a device"
    if isinstance(result, TimeScalings):
        return f"Best validation losses; differences are from {result.current}, member by member"
    return ""


def rows(result: RateRange | BatchSizes | TimeScalings) -> list[dict[str, Any]]:
    """The table; a range test has a picture in its place."""
    if isinstance(result, BatchSizes):
        return [
            {
                "batch size": one.size,
                "rows a second": one.rows_per_second and round(one.rows_per_second),
                "memory": spoken(one.bytes),
            }
            for one in result.measured
        ]
    if isinstance(result, TimeScalings):
        return [
            {
                "time scaling": one.kind,
                "mean loss": one.mean,
                "standard error": one.spread,
                "difference": one.difference,
                "its standard error": one.error,
            }
            for one in result.scales
        ]
    return []


def seen(result: RateRange | BatchSizes | TimeScalings) -> RateCurve | SizeTable | ScaleTable:
    """What the pictures are drawn from."""
    if isinstance(result, BatchSizes):
        sizes = [one.size for one in result.measured]
        megabytes = [None if one.bytes is None else one.bytes / 1e6 for one in result.measured]
        speeds = [one.rows_per_second for one in result.measured]
        return SizeTable(sizes, speeds, megabytes, result.suggestion)
    if isinstance(result, TimeScalings):
        kinds = [one.kind for one in result.scales]
        return ScaleTable(kinds, [one.losses for one in result.scales], result.suggestion)
    curves = result.rates, result.smoothed, result.median
    return RateCurve(*curves, result.suggestion, result.reading.minimum)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "–"
    return number(value) if isinstance(value, float) else str(value)
