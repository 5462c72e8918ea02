"""What a mixture did with a batch: looked at, never trained on."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from shoal.collective.moe.losses import masked_mean
from shoal.collective.moe.routed import Routed


class Statistics(eqx.Module):
    """Of one layer's real tokens.

    Attributes:
        utilisation: (E,) share of the assignments that the router gave each expert; sums to 1.
        entropy: of `utilisation`, as a share of ln E: 1 is perfectly even, 0 is one expert alone.
        router_entropy: mean over tokens of the entropy of the router's probabilities, in nats:
            how undecided it is.
        dropped_fraction: share of the assignments that found no room.
        unhandled_fraction: share of the tokens that no expert handles.
        dead_experts: how many experts the router gave nothing.
    """

    utilisation: Float[Array, " experts"]
    entropy: Float[Array, ""]
    router_entropy: Float[Array, ""]
    dropped_fraction: Float[Array, ""]
    unhandled_fraction: Float[Array, ""]
    dead_experts: Int[Array, ""]


def statistics_of(
    routed: Routed, kept: Routed, mask: Bool[Array, " tokens"] | None = None
) -> Statistics:
    """The statistics of what a router wanted and what of it was kept."""
    counts = routed.counts()
    total = jnp.maximum(jnp.sum(counts), 1)
    share = counts / total
    even = jnp.log(counts.size) if counts.size > 1 else 1.0
    numbers = Statistics(
        utilisation=share,
        entropy=_entropy(share) / even,
        router_entropy=masked_mean(_entropy(routed.probabilities), mask),
        dropped_fraction=1.0 - jnp.sum(kept.counts()) / total,
        unhandled_fraction=masked_mean(jnp.sum(kept.chosen(), -1) == 0, mask),
        dead_experts=jnp.sum(counts == 0),
    )
    return jax.tree.map(jax.lax.stop_gradient, numbers)


def _entropy(p: Array) -> Array:
    return -jnp.sum(jax.scipy.special.xlogy(p, p), -1)
