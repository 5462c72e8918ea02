"""Losses of a router over one layer's tokens; padding is left out.

    load balance   E · Σ_i f_i P̄_i,   f_i = c_i/Σc, P̄_i the mean probability; 1 at uniform
                                                     (Fedus et al. 2021; not a strict lower bound)
    importance     CV²(Σ_t g_ti),     g the weights; CV² = variance / mean²
    load           CV²(load),         load smooth where the router has noise, else counts
                                                                      (both Shazeer et al. 2017)
    z              mean of (logsumexp of the logits)²                      (Zoph et al. 2022)

Per layer, never pooled over layers: two layers that collapse onto different experts look balanced
together. Hugging Face's load balance is k times this one.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from shoal.collective.moe.routed import Routed

LOSSES = ("load_balance", "importance", "load", "z")


def losses_of(routed: Routed, mask: Bool[Array, " tokens"] | None = None) -> dict[str, Array]:
    """Every loss of one layer's routing, by name; scalars, unweighted."""
    counts = routed.counts()
    load = counts if routed.load is None else routed.load
    return {
        "load_balance": load_balance(routed.probabilities, counts, mask),
        "importance": squared_variation(jnp.sum(routed.gates(), 0)),
        "load": squared_variation(load.astype(routed.weights.dtype)),
        "z": z_loss(routed.logits, mask),
    }


def load_balance(
    probabilities: Float[Array, "tokens experts"], counts: Array, mask: Array | None = None
) -> Float[Array, ""]:
    """E · Σ f·P̄.

    >>> load_balance(jnp.full((4, 2), 0.5), jnp.array([4, 4])).item()
    1.0
    """
    share = counts / jnp.maximum(jnp.sum(counts), 1)
    return counts.size * jnp.sum(share * masked_mean(probabilities, mask))


def squared_variation(values: Float[Array, " experts"]) -> Float[Array, ""]:
    """The variance over the squared mean; 0 where all are 0.

    Smooth where all are equal, which a standard deviation is not.

    >>> squared_variation(jnp.array([1.0, 3.0])).item()
    0.25
    """
    mean = jnp.mean(values)
    return jnp.var(values) / jnp.where(mean == 0, 1.0, mean**2)


def z_loss(logits: Float[Array, "tokens experts"], mask: Array | None = None) -> Float[Array, ""]:
    """The mean squared logsumexp: keeps logits small.

    >>> z_loss(jnp.zeros((3, 1))).item()
    0.0
    """
    return masked_mean(jax.nn.logsumexp(logits, -1) ** 2, mask)


def masked_mean(values: Float[Array, "tokens ..."], mask: Array | None) -> Array:
    """The mean over the real tokens; 0 where there are none."""
    if mask is None:
        return jnp.mean(values, 0)
    mask = mask.reshape(-1, *(1,) * (values.ndim - 1))
    return jnp.sum(jnp.where(mask, values, 0.0), 0) / jnp.maximum(jnp.sum(mask), 1)
