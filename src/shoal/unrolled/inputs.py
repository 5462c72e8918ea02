"""What a sequence layer accepts, brought to one form: (batch, time, ...), in any namespace.

The rules are those of `shoal.neurons`; shapes are checked, values are left to the front ends.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from shoal.unrolled.arrays import flip


class Sequences(NamedTuple):
    """Batched inputs; `batched` says whether the user's were."""

    x: Any
    timespans: Any
    mask: Any
    batched: bool


def as_sequences(xp, x, timespans, mask, *, input_size: int, batch_first: bool = True) -> Sequences:
    """Batch first, with every documented shape of timespans and mask.

    Args:
        x: (batch, time, input), (time, batch, input) unless `batch_first`, or (time, input).
        timespans: an array of x's type, or None for 1: a scalar, (time,), (batch, time), either
            with a trailing 1; (time, batch) unless `batch_first`.
        mask: as timespans, True where there is an observation; or None.

    Raises:
        ValueError: naming the argument whose shape is wrong, and the remedy.
    """
    if x.ndim not in (2, 3):
        axes = "(batch, time" if batch_first else "(time, batch"
        raise ValueError(
            f"`input` must be {axes}, {input_size}) or (time, {input_size}), got {tuple(x.shape)}."
        )
    if x.shape[-1] != input_size:
        hint = "; move the features to the last axis" if input_size in x.shape else ""
        raise ValueError(
            f"`input` must have input_size = {input_size} features on its last axis, "
            f"got {tuple(x.shape)}{hint}."
        )
    batched = x.ndim == 3
    x = x if batched else x[None] if batch_first else x[:, None]
    given = tuple(x.shape[:2])
    steps = [
        None if value is None else _per_step(xp, name, value, given, batched, batch_first)
        for name, value in (("timespans", timespans), ("mask", mask))
    ]
    if not batch_first:
        x = xp.swapaxes(x, 0, 1)
        steps = [None if value is None else xp.swapaxes(value, 0, 1) for value in steps]
    timespans, mask = steps
    if timespans is None:
        timespans = xp.ones_like(x[..., 0])
    if mask is not None:
        x = xp.where(mask[..., None], x, xp.zeros_like(x))  # padding may hold NaN
        timespans = xp.where(mask, timespans, xp.zeros_like(timespans))
    return Sequences(x, timespans, mask, batched)


def _per_step(xp, name: str, value, size: tuple[int, int], batched: bool, batch_first: bool):
    """A scalar, (time,), one per observation, or either with a trailing 1, as `size`."""
    time = size[1] if batch_first else size[0]
    shape = tuple(value.shape)
    full = size if batched else (time,)
    if shape in ((*full, 1), (time, 1)) and shape != full:
        value, shape = value[..., 0], shape[:-1]
    if shape == full and not batched:
        return value[None] if batch_first else value[:, None]
    if shape == full:
        return value
    if shape == (time,) and not batch_first:
        value = value[:, None]
    if shape in ((), (time,)):
        return xp.broadcast_to(value, size)
    axes = ("(batch, time)" if batch_first else "(time, batch)") if batched else "(time,)"
    remedy = "give one value per observation"
    if shape == full[::-1]:
        remedy = "transpose it"
    elif batched and shape == (size[0] if batch_first else size[1],):
        remedy = "for one value per series, broadcast it over time first"
    raise ValueError(f"`{name}` must be {axes} = {full}, got {shape}; {remedy}.")


def gaps_ahead(xp, timespans, mask):
    """For every observation the time to the following one that exists; 0 where there is none.

    >>> import numpy as np
    >>> gaps_ahead(np, np.array([[1.0, 2.0, 3.0]]), None)
    array([[2., 3., 0.]])
    """
    end = xp.zeros_like(timespans[:, :1])
    following = xp.concatenate([timespans[:, 1:], end], axis=1)
    if mask is None:
        return following
    # what is masked passes on what it was told by those after it
    told, gaps = end[:, 0], []
    for t in range(timespans.shape[1] - 1, -1, -1):
        gaps.append(told)
        told = xp.where(mask[:, t], timespans[:, t], told)
    return flip(xp, xp.stack(gaps, 1), 1)
