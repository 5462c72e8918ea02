"""From what a user names to a router and to experts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from shoal.collective.moe.experts import MLP, GatedFFN
from shoal.collective.moe.losses import LOSSES
from shoal.collective.moe.routers import ROUTERS, AbstractRouter, NoisyTopK

EXPERTS = {"gated": GatedFFN, "mlp": MLP}


def make_router(router, input_size: int, n_experts: int, top_k: int, *, noise_std: float, key):
    """The router of a name, or the one that was passed, if it fits."""
    if isinstance(router, AbstractRouter):
        found = router.input_size, router.n_experts, router.top_k
        if found != (input_size, n_experts, top_k):
            raise ValueError(
                f"`router` must be of (input_size, n_experts, top_k) = "
                f"{(input_size, n_experts, top_k)}, got {found}."
            )
        return router
    if router not in ROUTERS:
        raise ValueError(
            f"`router` must be one of {', '.join(ROUTERS)}, or a router; got {router!r}."
        )
    kind: Any = ROUTERS[router]
    options = {"noise_std": noise_std} if kind is NoisyTopK else {}
    return kind(input_size, n_experts, top_k, key=key, **options)


def make_expert(experts, sizes: tuple[int, int, int], *, activation, **options) -> Callable:
    """A function of a key that makes one expert."""
    if callable(experts):
        return experts
    if experts not in EXPERTS:
        raise ValueError(
            f"`experts` must be one of {', '.join(EXPERTS)}, or a function make(key) -> module; "
            f"got {experts!r}."
        )
    if activation is not None:
        options["activation"] = activation
    return lambda key: EXPERTS[experts](*sizes, key=key, **options)


def output_width(make: Callable, input_size: int, output_size: int | None) -> int:
    """How wide an expert's answer is.

    Raises:
        ValueError: it does not take `input_size` features, or answers otherwise than asked.
    """
    row = jax.ShapeDtypeStruct((input_size,), jnp.float32)
    try:
        answer = eqx.filter_eval_shape(lambda key, x: make(key)(x), jax.random.key(0), row)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`experts` must make modules that take ({input_size},), the mixture's input; "
            f"one of them says: {str(error).splitlines()[0]}"
        ) from error
    shape = getattr(answer, "shape", None)
    wanted = "(output,)" if output_size is None else f"({output_size},)"
    if shape is None or len(shape) != 1 or output_size not in (None, *shape):
        raise ValueError(
            f"`experts` must answer an array of shape {wanted}, got {shape or answer}."
        )
    return shape[0]


def weights_of_losses(
    router: AbstractRouter, names: tuple[str, ...] | None, weight: float, z_weight: float
) -> tuple[tuple[str, float], ...]:
    """What is added to the task's loss, and how much of it."""
    names = router.losses if names is None else tuple(names)
    unknown = [name for name in names if name not in LOSSES]
    if unknown:
        raise ValueError(f"`aux_losses` must be of {', '.join(LOSSES)}; got {unknown[0]!r}.")
    weights: dict[str, Any] = dict.fromkeys(names, weight)
    if z_weight:
        weights["z"] = weights.get("z", 0.0) + z_weight
    return tuple(weights.items())
