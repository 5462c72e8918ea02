"""Time: dates or numbers in a column become numbers counted in one unit.

Dates count from 1970-01-01 in `unit`, UTC where they name an offset; numbers stay as they are.
Only ISO 8601 is read without being told (2001-12-29, 2001-12-29T06:30, 2001-12-29 06:30:00+01:00),
for 03/04/2001 means two things.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, NoReturn

import numpy as np

from shoal.data.errors import DataError, nearest

SECONDS = {
    "millisecond": 1e-3,
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
    "week": 604800.0,
    "year": 31556952.0,  # 365.2425 days
}
_ISO = re.compile(
    r"(\d{4}-\d\d(?:-\d\d(?:[T ]\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?)?)\s*(Z|[+-]\d\d(?::?\d\d)?)?"
)
_COMPACT = re.compile(r"(1[6-9]|2[01])\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_FIRST, _LAST = np.datetime64("1678-01-01"), np.datetime64("2262-01-01")
ISO_REMEDY = "write dates as YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS, or give their time_format"

Fail = Callable[..., NoReturn]  # fail(row index, found, remedy)


def parse_times(column: np.ndarray, time_format: str | None, fail: Fail) -> np.ndarray:
    """The column as datetime64[ns], or float64 where it holds numbers.

    `fail(i, found, remedy)` is called for the first row that cannot be read.
    """
    if column.dtype.kind in "iuf":
        return _finite(column.astype(np.float64), column, fail)
    if column.dtype.kind == "M":
        return _known(column.astype("datetime64[ns]"), fail)
    cells = [_text(cell) for cell in column]
    for i, cell in enumerate(cells):
        if not cell or cell.casefold() in ("nan", "nat", "none", "null", "na"):
            fail(i, "the time is empty", "every row needs its time; fill it in, or drop the row")
    if time_format is not None:
        return _by_format(cells, time_format, fail)
    if _are_compact(cells):
        cells = [f"{cell[:4]}-{cell[4:6]}-{cell[6:]}" for cell in cells]
    if cells and _is_number(cells[0]):
        return _numbers(cells, fail)
    return _iso(cells, fail)


def to_numbers(times: np.ndarray, unit: str | None) -> np.ndarray:
    """Dates as numbers of `unit` since 1970; numbers as they are.

    >>> to_numbers(np.array(["1970-01-08"], "datetime64[ns]"), "week")
    array([1.])
    """
    if times.dtype.kind != "M":
        return times.astype(np.float64)
    return times.astype("datetime64[ns]").astype(np.int64) / (1e9 * SECONDS[str(unit)])


def to_dates(numbers: np.ndarray, unit: str) -> np.ndarray:
    """The inverse of `to_numbers`, rounded to milliseconds.

    >>> to_dates(np.array([1.0]), "week")
    array(['1970-01-08T00:00:00.000'], dtype='datetime64[ms]')
    """
    milliseconds = np.rint(np.asarray(numbers, np.float64) * SECONDS[unit] * 1e3)
    return milliseconds.astype(np.int64).astype("datetime64[ms]")


def natural_unit(gap_seconds: float) -> str:
    """The largest unit, up to a week, that is no longer than the gap.

    >>> natural_unit(7 * 86400), natural_unit(600), natural_unit(86399)
    ('week', 'minute', 'hour')
    """
    fits = [name for name in list(SECONDS)[:6] if SECONDS[name] <= gap_seconds * (1 + 1e-9)]
    return fits[-1] if fits else "millisecond"


def check_unit(unit: str | None) -> None:
    if unit is not None and unit not in SECONDS:
        raise DataError(f"`time_unit` is {unit!r}", nearest(str(unit), SECONDS))


def moment(value: Any, name: str, is_date: bool, unit: str | None) -> float:
    """A date or number from a configuration as a number of `unit`.

    >>> from datetime import date
    >>> moment(date(1970, 1, 8), "test_from", True, "week")
    1.0
    """

    def fail(i: int, found: str, remedy: str) -> NoReturn:
        raise DataError(f"`{name}` is {value!r}: {found}", remedy)

    if not is_date:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DataError(f"`{name}` is {value!r}, but this time column holds numbers")
        return float(value)
    if isinstance(value, int | float):
        raise DataError(f"`{name}` is {value!r}, but this time column holds dates", ISO_REMEDY)
    kind = None if isinstance(value, np.datetime64) else object
    return float(to_numbers(parse_times(np.array([value], kind), None, fail), unit)[0])


def _text(cell: Any) -> str:
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    return "" if cell is None else str(cell).strip()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _are_compact(cells: list[str]) -> bool:
    """19580329: eight digits that are a date in every row are dates, never a number of days."""
    return bool(cells) and all(_COMPACT.fullmatch(cell) for cell in cells)


def _numbers(cells: list[str], fail: Fail) -> np.ndarray:
    for i, cell in enumerate(cells):
        if not _is_number(cell):
            fail(i, f"{cell!r} is not a number, as the first time is", "write all times alike")
    return _finite(np.array([float(cell) for cell in cells]), cells, fail)


def _finite(times: np.ndarray, column: Any, fail: Fail) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(times))
    if len(bad):
        fail(bad[0], f"the time is {column[bad[0]]}", "every row needs a finite time")
    return times


def _known(times: np.ndarray, fail: Fail) -> np.ndarray:
    bad = np.flatnonzero(np.isnat(times))
    if len(bad):
        fail(bad[0], "the time is empty", "every row needs its time; fill it in, or drop the row")
    return times


def _iso(cells: list[str], fail: Fail) -> np.ndarray:
    matches = [_ISO.fullmatch(cell) for cell in cells]
    for i, found in enumerate(matches):
        if found is None:
            fail(i, f"{cells[i]!r} is not a date that can be read", ISO_REMEDY)
    zones = [found[2] for found in matches if found is not None]
    odd = [i for i, zone in enumerate(zones) if (zone is None) != (zones[0] is None)]
    if odd:
        whether = "names no time zone, but" if zones[0] else "names a time zone, but not"
        fail(odd[0], f"{cells[odd[0]]!r} {whether} the first date does", "write all dates alike")
    local = _datetimes([found[1] for found in matches if found is not None], fail)
    if not zones or zones[0] is None:
        return local
    return local - np.array([_offset(zone) for zone in zones], "timedelta64[m]")


def _datetimes(cells: list[str], fail: Fail) -> np.ndarray:
    try:
        seconds = np.array(cells, "datetime64[s]")
    except ValueError:
        for i, cell in enumerate(cells):
            try:
                np.datetime64(cell, "s")
            except ValueError:
                fail(i, f"{cell!r} is not a date that exists", "correct the date")
        raise
    outside = np.flatnonzero((seconds < _FIRST) | (seconds >= _LAST))
    if len(outside):
        fail(outside[0], f"{cells[outside[0]]!r} is not between 1678 and 2262", "correct the date")
    return np.array(cells, "datetime64[ns]")


def _offset(zone: str) -> int:
    """Minutes east of Greenwich."""
    if zone == "Z":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (1 if zone[0] == "+" else -1) * (int(digits[:2]) * 60 + int(digits[2:]))


def _by_format(cells: list[str], time_format: str, fail: Fail) -> np.ndarray:
    out = []
    for i, cell in enumerate(cells):
        try:
            parsed = datetime.strptime(cell, time_format)
        except ValueError:
            fail(i, f"{cell!r} does not follow the time_format {time_format!r}", "correct either")
        if parsed.tzinfo is not None:
            parsed = parsed.astimezone(UTC).replace(tzinfo=None)
        out.append(np.datetime64(parsed, "ns"))
    return np.array(out, "datetime64[ns]")
