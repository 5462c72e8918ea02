"""How many tokens an expert would get, as a smooth function of the router's logits.

Counts have no gradient; chances under the router's own noise do (Shazeer et al. 2017, appendix A).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def smooth_load(
    clean: Array, noisy: Array, std: Array, top_k: int
) -> Float[Array, "tokens experts"]:
    """The probability that an expert would be chosen if only its own noise were drawn again.

    Φ((clean_i − the k-th greatest noisy logit of the others) / std_i)
    """
    if top_k == clean.shape[-1]:
        return jnp.ones_like(clean)
    greatest, _ = lax.top_k(noisy, top_k + 1)
    last_in, first_out = greatest[:, top_k - 1, None], greatest[:, top_k, None]
    others = jnp.where(noisy >= last_in, first_out, last_in)
    return jax.scipy.stats.norm.cdf((clean - others) / std)
