"""One step down the gradient, with a learning rate and weight decay per member.

    p ← p − η_t (d + λ p),    η_t = η · factor(t)

d is the optimiser's direction (Optax), η the member's learning rate, λ its weight decay, which is
decoupled (Loshchilov & Hutter 2019) whatever the optimiser. Optax scales nothing here, so that η
and λ are data: members with different ones share one program.
"""

from __future__ import annotations

from functools import lru_cache
from math import cos, pi
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree

DIRECTIONS = {
    "adam": optax.scale_by_adam,
    "adamw": optax.scale_by_adam,
    "sgd": optax.identity,
    "rmsprop": optax.scale_by_rms,
    "lion": optax.scale_by_lion,
}
SCHEDULES = ("constant", "cosine")


class Direction(NamedTuple):
    """An Optax transformation, and the name it was asked by, None for the user's own."""

    transform: optax.GradientTransformation
    name: str | None


def direction(
    optimizer: str | optax.GradientTransformation, clip_norm: float | None = None
) -> Direction:
    """The direction of a step: a name of `DIRECTIONS`, or any Optax transformation that does not
    scale by a learning rate, e.g. `optax.scale_by_rms(decay=0.95)`; `clip_norm` bounds the global
    norm of each member's gradient before it."""
    if clip_norm is not None and not clip_norm > 0:
        raise ValueError(f"`clip_norm` must be positive, got {clip_norm}")
    if not isinstance(optimizer, str):
        return Direction(_clipped(optimizer, clip_norm), None)
    if optimizer not in DIRECTIONS:
        known = ", ".join(DIRECTIONS)
        raise ValueError(f"`optimizer` must be one of {known}, got {optimizer!r}")
    return _named(optimizer, clip_norm)


@lru_cache
def _named(name: str, clip_norm: float | None) -> Direction:
    """One object per name, so that a program made with it is found again.

    All of `DIRECTIONS` work entry by entry, so one vector of all parameters serves as well as a
    tree of them, and compiles and runs faster.
    """
    return Direction(optax.flatten(_clipped(DIRECTIONS[name](), clip_norm)), name)


def _clipped(
    transform: optax.GradientTransformation, clip_norm: float | None
) -> optax.GradientTransformation:
    if clip_norm is None:
        return transform
    return optax.chain(optax.clip_by_global_norm(clip_norm), transform)


def first_state(optimizer: Direction, params: PyTree) -> PyTree:
    """The optimiser's state for stacked parameters.

    All of `DIRECTIONS` start from zeros, which need no program; others are asked.
    """
    init = jax.vmap(optimizer.transform.init)
    if optimizer.name is None:
        return jax.jit(init)(params)
    return jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), jax.eval_shape(init, params))


def step(
    optimizer: Direction,
    gradients: PyTree,
    state: PyTree,
    params: PyTree,
    learning_rate: Float[Array, ""] | np.ndarray,
    weight_decay: Float[Array, ""] | np.ndarray,
) -> tuple[PyTree, PyTree]:
    """One member's parameters and optimiser state after one step."""
    directions, state = optimizer.transform.update(gradients, state, params)

    def move(p: Array, d: Array) -> Array:
        return (p - learning_rate * (d + weight_decay * p)).astype(p.dtype)

    return jax.tree.map(move, params, directions), state


def learning_rate_factors(
    schedule: str, epoch: int, epochs: int, batches: int, warmup_epochs: float = 0
) -> Float[np.ndarray, " batches"]:
    """factor(t) for every batch of an epoch.

    Linear from 0 to 1 over `warmup_epochs`, then constant, or half a cosine down to 0 at the end.

    >>> print(learning_rate_factors("cosine", epoch=1, epochs=2, batches=2).round(2))
    [0.5  0.15]
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"`schedule` must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
    times = [epoch + b / batches for b in range(batches)]
    factors = [_factor(schedule, t, 1 / batches, epochs, warmup_epochs) for t in times]
    return np.array(factors, np.float32)


def _factor(schedule: str, time: float, step: float, epochs: int, warmup: float) -> float:
    if time < warmup:
        return min(1.0, (time + step) / warmup)
    if schedule == "constant":
        return 1.0
    return 0.5 * (1 + cos(pi * (time - warmup) / max(epochs - warmup, step)))


def per_member(value: Any, n_models: int, name: str) -> Float[np.ndarray, " members"]:
    """A scalar or one value per member as an array of them, all ≥ 0."""
    array = np.asarray(value, np.float32)
    if array.shape not in ((), (n_models,)):
        raise ValueError(
            f"`{name}` must be a number or ({n_models},), one value per member, got {array.shape}"
        )
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise ValueError(f"`{name}` must be finite and not negative, got {value}")
    return np.broadcast_to(array, (n_models,)).copy()
