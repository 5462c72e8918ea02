"""Activation functions over any array namespace.

A sigmoid is written through tanh, which is fast and without overflow, where there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def sigmoid(xp, x):
    """σ(x) = ½(1 + tanh(x/2)).

    >>> import numpy as np
    >>> float(sigmoid(np, np.float64(0.0)))
    0.5
    """
    if hasattr(xp, "sigmoid"):  # PyTorch and MLX
        return xp.sigmoid(x)
    return 0.5 * xp.tanh(0.5 * x) + 0.5


def softplus(xp, x):
    """ln(1 + eˣ), without overflow."""
    return xp.logaddexp(x, xp.zeros_like(x))


def tanh(xp, x):
    """The hyperbolic tangent."""
    return xp.tanh(x)


def lecun_tanh(xp, x):
    """1.7159·tanh(0.666x), as `ncps` rounds LeCun's (1998) constants."""
    return 1.7159 * xp.tanh(0.666 * x)


def relu(xp, x):
    """max(x, 0)."""
    return xp.where(x > 0, x, xp.zeros_like(x))


def silu(xp, x):
    """x·σ(x)."""
    return x * sigmoid(xp, x)


def gelu(xp, x):
    """x·Φ(x), with the exact normal distribution function (Hendrycks & Gimpel 2016)."""
    return 0.5 * x * (1.0 + _erf(xp)(x * 0.7071067811865476))


def _erf(xp) -> Callable:
    if hasattr(xp, "erf"):
        return xp.erf
    # numpy has its special functions in scipy, jax.numpy in jax.scipy
    return import_module(xp.__name__.replace("numpy", "scipy") + ".special").erf


ACTIVATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "lecun_tanh": lecun_tanh,
    "relu": relu,
    "tanh": tanh,
    "gelu": gelu,
    "silu": silu,
}


def find_activation(name: str) -> Callable[[Any, Any], Any]:
    """The activation of a name.

    Raises:
        ValueError: for a name that is not in `ACTIVATIONS`.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"`activation` must be one of {', '.join(ACTIVATIONS)}; got {name!r}.")
    return ACTIVATIONS[name]
