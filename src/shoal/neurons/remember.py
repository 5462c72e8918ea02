"""What a step remembers for its backward pass: the outputs of its tanh, and nothing else.

Differentiating y = tanh(x), JAX keeps y and 1 − y, and a scan writes both to memory at every
step. The derivative 1 − y² needs y alone. A step whose array namespace is `remembering` in place
of `jax.numpy`, run by `scan_steps(..., keep=KEPT)`, writes y once and computes the rest again.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array

KEPT = "kept"


def kept(value: Array) -> Array:
    """Marks what a checkpointed step is to remember in place of computing it again."""
    return checkpoint_name(value, KEPT)


@jax.custom_jvp
def tanh(x: Array) -> Array:
    """tanh, whose derivative is formed from its remembered output."""
    return jnp.tanh(x)


@tanh.defjvp
def _tanh_rule(primals, tangents):
    y = kept(jnp.tanh(primals[0]))
    return y, tangents[0] * (1 - y * y)


class _Remembering:
    """`jax.numpy` with that tanh."""

    tanh = staticmethod(tanh)

    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)


remembering = _Remembering()
