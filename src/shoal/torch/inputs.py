"""What users hand in, as tensors of a module's dtype and device; shapes are refused by name."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def like(tensor: Tensor, value: Any) -> Any:
    """A value, or a tuple of values, with the dtype and device of a tensor."""
    if isinstance(value, (tuple, list)):
        return tuple(like(tensor, part) for part in value)
    if isinstance(value, Tensor):
        return value.to(tensor)
    return torch.as_tensor(value, dtype=tensor.dtype, device=tensor.device)


def as_elapsed(elapsed: Any, batch: int, tensor: Tensor) -> Tensor:
    """Elapsed times of one observation, (batch,), from a number, (batch,) or (batch, 1).

    Raises:
        ValueError: for another shape, and for times below zero.
    """
    elapsed = like(tensor, elapsed)
    if elapsed.shape == (batch, 1):
        elapsed = elapsed[:, 0]
    if elapsed.shape not in ((), (1,), (batch,)):
        raise ValueError(
            f"the elapsed time must be a number, (batch,) or (batch, 1) with batch = {batch}, got "
            f"{tuple(elapsed.shape)}."
        )
    return elapsed.expand(batch)


def check_columns(name: str, value: Tensor, columns: int) -> None:
    """Refuses anything but (batch, columns)."""
    if value.ndim != 2 or value.shape[-1] != columns:
        raise ValueError(f"`{name}` must be (batch, {columns}), got {tuple(value.shape)}.")


def check_elapsed(timespans: Tensor) -> None:
    """Refuses elapsed times below zero, where their values can be seen."""
    if (
        timespans.device.type != "cpu"
        or torch.compiler.is_compiling()
        or torch._C._get_tracing_state()
    ):
        return
    try:
        least = float(timespans.detach().min())
    except RuntimeError:  # inside vmap there are no values
        return
    if least < 0:
        raise ValueError(
            f"`timespans` must be the time since the last observation, at least 0; got {least}."
        )


def as_state(hx: Any, like_state: Any, batched: bool, mixed: bool = False) -> Any:
    """A state with its batch axis, checked against one that fits.

    Raises:
        ValueError: naming what was expected.
    """
    expected = _shapes(like_state, batched)
    if _structure(hx) != _structure(like_state):
        what = "a tuple (h, c)" if mixed else f"of the form {expected}"
        raise ValueError(
            f"`hx` must be {what} with the shapes {expected}, got {_shapes(hx, True)}; hand in "
            "what an earlier call returned."
        )
    if _shapes(hx, True) != expected:
        raise ValueError(f"`hx` must have the shape {expected}, got {_shapes(hx, True)}.")
    return hx if batched else _batched(hx)


def _structure(state: Any) -> Any:
    if isinstance(state, (tuple, list)):
        return tuple(_structure(part) for part in state)
    return None


def _shapes(state: Any, batched: bool) -> Any:
    if isinstance(state, (tuple, list)):
        return tuple(_shapes(part, batched) for part in state)
    if not isinstance(state, Tensor):
        return type(state).__name__
    return tuple(state.shape) if batched else tuple(state.shape[1:])


def _batched(state: Any) -> Any:
    if isinstance(state, (tuple, list)):
        return tuple(_batched(part) for part in state)
    return state[None]


def unbatched(value: Any) -> Any:
    """A state or output without its batch axis."""
    if isinstance(value, (tuple, list)):
        return tuple(unbatched(part) for part in value)
    return value[0]
