"""Which framework arrays are of, so that one function of them serves all.

What is given decides: arrays of JAX, PyTorch and MLX are worked on where they are, traced ones too;
lists and numbers become NumPy arrays of doubles. No framework is imported here.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

_HOMES = {"jax": "jax.numpy", "jaxlib": "jax.numpy", "torch": "torch", "mlx": "mlx.core"}


def namespace(*values: Any) -> Any:
    """The array namespace of the first value that has one, tuples included; else NumPy.

    >>> namespace(None, [1.0], np.ones(2)).__name__
    'numpy'
    """
    for value in values:
        parts = value if isinstance(value, tuple) else (value,)
        for part in parts:
            home = _HOMES.get(type(part).__module__.split(".")[0])
            if home is not None:
                return sys.modules[home]
    return np


def floats(values: Any) -> Any:
    """Arrays of a framework as they are, anything else as NumPy's doubles.

    >>> floats([1, 2]).dtype
    dtype('float64')
    """
    return values if namespace(values) is not np else np.asarray(values, float)


def alike(values: Any, like: Any) -> Any:
    """Numbers as an array of the framework, type and place of another array.

    >>> alike((1, 2), np.ones(1))
    array([1., 2.])
    """
    xp = namespace(like)
    if namespace(values) is not np:
        return values
    values = np.asarray(values, float)
    if xp is np:
        return values
    if xp.__name__ == "torch":
        return xp.as_tensor(values, dtype=like.dtype, device=like.device)
    if xp.__name__ == "mlx.core":
        return xp.array(values, dtype=like.dtype)
    return xp.asarray(values, like.dtype)


def still(values: Any) -> Any:
    """The same values, which no gradient flows through.

    For shifts that cancel: the gradient of a maximum asks which value equals it, and a compiler
    that works a value out twice, rounded otherwise, finds none and answers 0/0.

    >>> still(np.ones(2))
    array([1., 1.])
    """
    xp = namespace(values)
    if xp is np:
        return values
    if xp.__name__ == "torch":
        return values.detach()
    if xp.__name__ == "mlx.core":
        return xp.stop_gradient(values)
    return sys.modules["jax"].lax.stop_gradient(values)


def flags(values: Any, like: Any) -> Any:
    """Truth values as an array of the framework and place of another array; None stays None.

    >>> flags([1, 0], np.ones(2))
    array([ True, False])
    """
    xp = namespace(like)
    if values is None or namespace(values) is not np:
        return values
    values = np.asarray(values, bool)
    if xp.__name__ == "torch":
        return xp.as_tensor(values, device=like.device)
    if xp.__name__ == "mlx.core":
        return xp.array(values)
    return values
