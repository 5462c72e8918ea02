"""Asking a crowd: arrays checked before anything runs, encoded, and answers brought back.

What every collective does around its members, whatever framework they run in; NumPy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from shoal.equations.outputs import Categorical


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


def encoded(asked: Inputs, scaling: Any, dtype: Any) -> Inputs:
    """What the members read, floats in `dtype`: encoded in double precision by the scaling, if any.

    Raises:
        ValueError: x has other features than the scaling.
    """
    x, timespans = asked.x, asked.timespans
    if scaling is not None:
        _check_features(x, scaling)
        if timespans is None:
            timespans = np.ones(x.shape[:2])
        x = scaling.encode(np, x.astype(np.float64), timespans, asked.mask)
    elif asked.mask is not None and np.issubdtype(x.dtype, np.floating):
        x = np.where(asked.mask[..., None], x, 0.0)  # padding may hold NaN
    timespans = None if timespans is None else _floats(timespans, dtype)
    return Inputs(_floats(x, dtype), timespans, asked.mask)


def decoded(outputs: Any, scaling: Any, asked: Inputs) -> Any:
    """The members' answers, members first, in the targets' own units."""
    if scaling is None or isinstance(outputs, Categorical):
        return outputs
    return scaling.decode(np, outputs, asked.x, asked.mask)


def refuse_nan(outputs: Any, seeds: Sequence[int]) -> None:
    """Refuses answers that are not finite: the member by its number and seed, never averaged in.

    Raises:
        ValueError: naming the members, or the row for which nobody has an answer.
    """
    if isinstance(outputs, Categorical):  # a logit may be −inf, but not all of them
        fine = ~np.isnan(outputs.logits).any(-1) & (outputs.logits.max(-1) < np.inf)
        fine &= outputs.logits.max(-1) > -np.inf
    else:
        parts = outputs if isinstance(outputs, tuple) else (outputs,)
        fine = np.all([np.isfinite(part) for part in parts], axis=0)
    fine = fine.reshape(*fine.shape[:2], -1).all(-1)
    if fine.all():
        return
    nobody = np.flatnonzero(~fine.any(0))
    if len(nobody):
        raise ValueError(
            f"no member has a finite prediction for row {nobody[0]} (of {len(nobody)} such rows); "
            "where targets are changes, x must hold at least one value of each target"
        )
    bad = np.flatnonzero(~fine.all(1))
    named = ", ".join(f"{i} (seed {seeds[int(i)]})" for i in bad)
    good = np.flatnonzero(fine.all(1)).tolist()
    raise ValueError(
        f"members {named} predict values that are not finite; "
        f"leave them out with `crowd.select({good})`"
    )


def _check_features(x: np.ndarray, scaling: Any) -> None:
    names = scaling.names
    if x.ndim != 3 or x.shape[-1] != len(names):
        raise ValueError(
            f"`x` must be (batch, time, features) with the {len(names)} features "
            f"{', '.join(names)}; got {x.shape}"
        )


def _floats(a: np.ndarray, dtype: Any) -> np.ndarray:
    """Floats in the precision that the members work in; integers as they are."""
    return a.astype(dtype) if np.issubdtype(a.dtype, np.floating) else a
