"""What a neuron is given: elapsed times whose sign can be seen, and a state that fits."""

from __future__ import annotations

import mlx.core as mx
import numpy as np


def as_timespans(timespans, signed: bool) -> mx.array:
    """Elapsed times as an array; those that are no MLX array yet may not be below 0.

    To look into an MLX array would wait for it, and fail where it is traced.
    """
    if isinstance(timespans, mx.array):
        return timespans
    least = np.min(np.asarray(timespans, float), initial=0.0)
    if least < 0 and not signed:
        raise ValueError(
            "`timespans` must be at least 0, the time that elapsed before each observation; got "
            f"{least}; sort the observations by time."
        )
    return mx.array(timespans)


def as_state(state, template, batched: bool):
    """The user's state with the template's structure, shapes and type."""
    if isinstance(template, tuple):
        if not isinstance(state, (tuple, list)) or len(state) != len(template):
            raise ValueError(
                f"`state` must have the structure {_said(template)}, got {_said(state)}; pass on "
                "what the layer returned, or None to start from zero."
            )
        pairs = zip(state, template, strict=True)
        return tuple(as_state(part, like, batched) for part, like in pairs)
    if isinstance(state, (tuple, list, dict)):
        raise ValueError(
            f"`state` must be one array, got {_said(state)}; pass on what the layer returned, or "
            "None to start from zero."
        )
    state = mx.array(state)
    found, wanted = state.shape, template.shape if batched else template.shape[1:]
    if found != wanted:
        raise ValueError(
            f"`state` must have arrays of shape {wanted}, got {found}; pass on what the layer "
            "returned for a batch of this size."
        )
    return (state if batched else state[None]).astype(template.dtype)


def _said(state) -> str:
    if isinstance(state, (tuple, list)):
        return f"({', '.join(_said(part) for part in state)})"
    return "array" if hasattr(state, "shape") else type(state).__name__


def each(function, state):
    """A function of every array of a state."""
    if isinstance(state, tuple):
        return tuple(each(function, part) for part in state)
    return function(state)
