"""Some of a stack's members by their places; on one CPU through host memory, compiling nothing."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, PyTree


def take(stack: PyTree, places: int | np.ndarray) -> PyTree:
    """Every array's `array[places]`; what is no array stays."""
    return jax.tree.map(lambda leaf: _taken(leaf, places) if eqx.is_array(leaf) else leaf, stack)


def _taken(array: Array, places: int | np.ndarray) -> Array:
    if isinstance(array, Tracer) or not _on_host(array):
        return array[places]
    home = array.sharding if array.committed else None
    return jax.device_put(np.array(np.asarray(array)[places]), home)


def _on_host(array: Array) -> bool:
    """Whether NumPy can look at it where it is."""
    numbers = not jnp.issubdtype(array.dtype, jax.dtypes.extended)
    return numbers and [device.platform for device in array.devices()] == ["cpu"]
