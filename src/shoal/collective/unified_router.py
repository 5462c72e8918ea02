"""Who should be asked: scores of the specialists, from what is asked.

    q(x) = W x + b,    s_i(x) = k_i · q(x) / √d

Keys k_i, one per specialist, begin at 0: all count alike until something is learned.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from shoal.equations.checks import require_positive
from shoal.neurons.model import Head


class Attention(eqx.Module):
    """Queries from all numbers of a row, of which those of a masked step are 0; learned keys.

    Args:
        in_size: numbers in a row.
        specialists: how many there are.
        width: d, of queries and keys.
        key: a JAX key.

    >>> import jax
    >>> Attention(6, 4, 8, key=jax.random.key(0))(jnp.ones((2, 3, 2))).tolist()[0]
    [0.0, 0.0, 0.0, 0.0]
    """

    query: Head
    keys: Float[Array, "members width"]

    def __init__(self, in_size: int, specialists: int, width: int = 16, *, key: PRNGKeyArray):
        require_positive(in_size=in_size, width=width)
        self.query = Head(in_size, (width,), key=key)
        self.keys = jnp.zeros((specialists, width))

    def __call__(self, x, timespans=None, *, mask=None, key=None) -> Float[Array, "batch members"]:
        if mask is not None:
            x = jnp.where(mask[..., None], x, 0)
        expected = self.query.params["weight"].shape[-1]
        flat = x.reshape(len(x), -1)
        if flat.shape[-1] != expected:
            raise ValueError(
                f"`in_size` must be the numbers in one row of x, {flat.shape[-1]} for x of shape "
                f"{x.shape}; got {expected}"
            )
        query: Any = self.query(flat.astype(jnp.promote_types(flat.dtype, jnp.float32)))
        return query @ self.keys.T / sqrt(self.keys.shape[-1])


def scores_of(router: Any, specialists: int, x, timespans=None, *, mask=None, key=None) -> Array:
    """A router's scores, (batch, specialists), in float32 or wider.

    Raises:
        ValueError: they are of another shape.
    """
    scores = router(x, timespans, mask=mask, key=key)
    if scores.shape != (len(x), specialists):
        raise ValueError(
            f"`router` must answer (batch, specialists) = {(len(x), specialists)}, "
            f"got {scores.shape}"
        )
    return scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
