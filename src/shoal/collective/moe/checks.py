"""Rules of the mixture's arguments, each refused in one sentence."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from shoal.equations.checks import require_positive


def check_top_k(top_k: int, n_experts: int) -> None:
    """Refuses a top_k of more experts than there are."""
    require_positive(n_experts=n_experts, top_k=top_k)
    if top_k > n_experts:
        raise ValueError(
            f"`top_k` must be at most the number of experts, {n_experts}, got {top_k}; "
            "lower it, or raise `n_experts`."
        )


def require_at_least(least: float, **numbers: float) -> None:
    """Refuses numbers below the least, and NaN."""
    for name, number in numbers.items():
        if not (number >= least and np.isfinite(number)):
            raise ValueError(
                f"`{name}` must be a finite number of at least {least:g}, got {number}."
            )


def check_capacity(factor: float) -> None:
    """Refuses a capacity that no token fits into."""
    if not (factor > 0 and np.isfinite(factor)):
        raise ValueError(
            f"`capacity_factor` must be a finite number above 0, got {factor}: every token "
            "would be dropped; 1.0 is exactly enough for perfectly balanced experts."
        )


def as_tokens(x, mask, input_size: int) -> tuple[Array, Array | None]:
    """x as (tokens, input) and the mask as (tokens,), padding set to 0."""
    x = jnp.asarray(x)
    if x.ndim == 0 or x.shape[-1] != input_size:
        raise ValueError(
            f"`x` must have input_size = {input_size} features on its last axis, got {x.shape}."
        )
    if not jnp.issubdtype(x.dtype, jnp.floating):
        x = x.astype(jnp.float32)
    rows = x.reshape(-1, input_size)
    if mask is None:
        return rows, None
    mask = jnp.asarray(mask)
    if mask.shape != x.shape[:-1] or mask.dtype != bool:
        raise ValueError(
            f"`mask` must be booleans of shape {x.shape[:-1]}, True for real tokens, "
            f"got {mask.dtype} of shape {mask.shape}."
        )
    mask = mask.reshape(-1)
    return jnp.where(mask[:, None], rows, jnp.zeros((), x.dtype)), mask


def check_state(state, template) -> None:
    """Refuses a state that the router did not make."""
    if state is None:
        return
    if template is None:
        raise ValueError("`state` must be None: this router carries nothing from batch to batch.")
    if jnp.shape(state) != template.shape:
        raise ValueError(
            f"`state` must be one bias per expert, {template.shape}, got {jnp.shape(state)}; start "
            "from `initial_state()` and pass on `info.state`."
        )
