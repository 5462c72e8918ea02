"""What a collective is asked about: arrays checked before anything runs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Inputs(NamedTuple):
    """x (batch, ...), timespans (batch, time) or None, mask (batch, time) or None."""

    x: np.ndarray
    timespans: np.ndarray | None
    mask: np.ndarray | None


def checked(x: Any, timespans: Any = None, mask: Any = None, *, gaps: bool = False) -> Inputs:
    """The inputs as arrays of agreeing shapes.

    Args:
        x: (batch, time, features) or (batch, features); or an object with `x`, `timespans` and
            `mask`, as `shoal.data.Sequences`.
        timespans: a scalar, (time,), (batch, time), either with a trailing 1; for x without time
            anything with the batch first.
        mask: (batch, time), True where there is an observation.
        gaps: whether x may hold NaN where a feature is missing.

    Raises:
        ValueError: shapes do not agree, or a value is not allowed.
    """
    if hasattr(x, "x") and hasattr(x, "timespans"):
        x, timespans, mask = x.x, x.timespans, x.mask
    x = np.asarray(x)
    if x.ndim < 2 or len(x) == 0:
        raise ValueError(
            "`x` must be (batch, time, features) or (batch, features) with at least one row, "
            f"got {x.shape}"
        )
    mask = None if mask is None else _mask(np.asarray(mask), x)
    _check_values(x, mask, gaps)
    return Inputs(
        x, None if timespans is None else _timespans(np.asarray(timespans), x, mask), mask
    )


def _mask(mask: np.ndarray, x: np.ndarray) -> np.ndarray:
    if mask.shape != x.shape[:2] or x.ndim < 3:
        raise ValueError(f"`mask` must be (batch, time) = {x.shape[:2]}, got {mask.shape}")
    return mask.astype(bool)


def _check_values(x: np.ndarray, mask: np.ndarray | None, gaps: bool) -> None:
    if not np.issubdtype(x.dtype, np.floating):
        return
    seen = x if mask is None else np.where(mask[..., None], x, 0.0)
    if np.isinf(seen).any():
        raise ValueError("`x` holds infinite values; missing ones are NaN")
    if not gaps and np.isnan(seen).any():
        raise ValueError(
            "`x` holds NaN, and this collective has no scaling that could fill the gaps; "
            "give `Collective(..., scaling=...)` or encode the missing values yourself"
        )


def _timespans(timespans: np.ndarray, x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    if x.ndim < 3:
        if timespans.shape[:1] != x.shape[:1]:
            raise ValueError(
                f"`timespans` must have the batch, {len(x)}, first; got {timespans.shape}"
            )
        return timespans
    batch, time = x.shape[:2]
    found = timespans.shape
    if timespans.ndim > 1 and found[-1] == 1 and found != (batch, time):
        timespans = timespans[..., 0]
    if timespans.shape not in [(), (time,), (batch, time)]:
        hint = "; transpose it" if found == (time, batch) else ""
        raise ValueError(f"`timespans` must be (batch, time) = {(batch, time)}, got {found}{hint}")
    timespans = np.broadcast_to(timespans, (batch, time)).astype(float)
    seen = timespans if mask is None else np.where(mask, timespans, 0.0)
    if not (np.isfinite(seen).all() and (seen >= 0).all()):
        raise ValueError(
            "`timespans` must be finite and at least 0 wherever there is an observation"
        )
    return timespans
