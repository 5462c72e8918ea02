"""How a neuron's parameters start: an equation's table, and the initialiser of its weights.

A table entry says what is drawn; the user may choose another initialiser for whatever the table
calls `Weights`. Matrices are (output, input), as in PyTorch and MLX.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from shoal.equations.parameters import Constant, FromWiring, Parameter, Uniform

Initializer = Callable[[PRNGKeyArray, tuple[int, ...], Any], Array]

_AXES = {"in_axis": -1, "out_axis": -2}
INITIALIZERS: dict[str, Initializer] = {
    "xavier_uniform": jax.nn.initializers.glorot_uniform(**_AXES),
    "xavier_normal": jax.nn.initializers.glorot_normal(**_AXES),
    "he_uniform": jax.nn.initializers.he_uniform(**_AXES),
    "he_normal": jax.nn.initializers.he_normal(**_AXES),
    "lecun_uniform": jax.nn.initializers.lecun_uniform(**_AXES),
    "lecun_normal": jax.nn.initializers.lecun_normal(**_AXES),
    "orthogonal": jax.nn.initializers.orthogonal(),
    "normal": jax.nn.initializers.normal(0.02),
    "zeros": jax.nn.initializers.zeros,
}


def as_key(key: PRNGKeyArray | int) -> PRNGKeyArray:
    """A JAX key from a JAX key or an int seed.

    >>> bool(as_key(3) == jax.random.key(3))
    True
    """
    if isinstance(key, (int, np.integer)):
        return jax.random.key(int(key))
    if jnp.issubdtype(key.dtype, jnp.integer) and key.ndim == 0:
        return jax.random.key(key)
    return key


def as_dtype(dtype) -> np.dtype:
    """A floating-point dtype that this process can really compute in.

    Raises:
        ValueError: for one that is not floating-point, or float64 without 64-bit mode.
    """
    dtype = jnp.dtype(dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"`dtype` must be floating-point, such as 'float32'; got {dtype}.")
    if dtype == jnp.float64 and not jax.config.jax_enable_x64:  # pyright: ignore
        raise ValueError(
            "`dtype` float64 needs JAX in 64-bit mode; set JAX_ENABLE_X64=1 or call "
            "jax.config.update('jax_enable_x64', True) first."
        )
    return dtype


def find_initializer(initializer: str | Initializer) -> Initializer:
    """The initialiser of a name, or the callable itself.

    Raises:
        ValueError: for a name that is not in `INITIALIZERS`.
    """
    if callable(initializer):
        return initializer
    if initializer not in INITIALIZERS:
        raise ValueError(
            f"`initializer` must be one of {', '.join(INITIALIZERS)}, or a function "
            f"(key, shape, dtype) -> array; got {initializer!r}."
        )
    return INITIALIZERS[initializer]


def initialise(
    table: Iterable[Parameter],
    dimensions: Mapping[str, int],
    *,
    key: PRNGKeyArray,
    dtype=jnp.float32,
    initializer: str | Initializer | None = None,
    matrices: Mapping[str, Any] | None = None,
) -> dict[str, Array]:
    """Every parameter of a table, drawn.

    Args:
        table: what to draw.
        dimensions: a number for every dimension that the table names.
        key: one key; each parameter gets its own from it.
        dtype: of the result; drawn in at least float32.
        initializer: a name or function for all `Weights`; None takes the table's own.
        matrices: what `FromWiring` starts refer to, such as {"adjacency": ...}.

    Returns:
        Arrays by name, in the table's order.

    >>> from shoal.equations.parameters import Weights
    >>> table = [
    ...     Parameter("w", ("units", "inputs"), Weights()),
    ...     Parameter("b", ("units",), Constant(0.0)),
    ... ]
    >>> params = initialise(table, {"units": 3, "inputs": 2}, key=jax.random.key(0))
    >>> {name: array.shape for name, array in params.items()}
    {'w': (3, 2), 'b': (3,)}
    """
    table = tuple(table)
    keys = jax.random.split(key, max(len(table), 1))
    return {
        entry.name: _draw(entry, dimensions, keys[i], dtype, initializer, matrices or {})
        for i, entry in enumerate(table)
    }


def _draw(entry, dimensions, key, dtype, initializer, matrices) -> Array:
    shape, start = entry.sizes(dimensions), entry.start
    wide = jnp.promote_types(dtype, jnp.float32)
    if isinstance(start, Uniform):
        drawn = jax.random.uniform(key, shape, wide, start.low, start.high)
    elif isinstance(start, Constant):
        drawn = jnp.full(shape, start.value, wide)
    elif isinstance(start, FromWiring):
        drawn = jnp.asarray(matrices[start.matrix], wide).reshape(shape)
    else:
        drawn = find_initializer(initializer or start.default)(key, shape, wide)
    return drawn.astype(dtype)
