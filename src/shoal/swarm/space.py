"""From a pytree to the numbers that are searched, and back.

The arrays of floats in a pytree, laid end to end, are one row of `dims` numbers; a swarm is a
matrix (particles, dims). Whatever else the pytree holds (functions, integers, frozen scalers) is
put back as it was.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from math import prod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from shoal.neurons.frozen import partition


@dataclass(frozen=True)
class Form:
    """Where the numbers of a row go; hashable, so that programs are found by it."""

    treedef: Any
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]
    static: tuple[Hashable, ...]
    static_treedef: Any

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(prod(shape) for shape in self.shapes)

    @property
    def dims(self) -> int:
        """How many numbers a position has."""
        return sum(self.sizes)

    @property
    def dtype(self) -> Any:
        """What is searched in: float32, or float64 when a leaf is."""
        return jnp.result_type(jnp.float32, *self.dtypes)

    def build(self, rows: Any, frozen: PyTree) -> PyTree:
        """Rows (*lead, dims) as pytrees whose searched leaves are led by `lead`; NumPy stays."""
        ends, lead = np.cumsum(self.sizes), rows.shape[:-1]
        leaves = [
            rows[..., end - size : end].reshape(lead + shape).astype(dtype)
            for end, size, shape, dtype in zip(
                ends, self.sizes, self.shapes, self.dtypes, strict=True
            )
        ]
        static = jax.tree.unflatten(self.static_treedef, self.static)
        return eqx.combine(jax.tree.unflatten(self.treedef, leaves), frozen, static)

    def flat(self, tree: PyTree, lead: tuple[int, ...], xp: Any = jnp) -> Any:
        """The other way, to (*lead, dims): the searched leaves of `tree`, led by the axes `lead`.

        `xp` is the namespace of the arrays that are made.
        """
        leaves, treedef = jax.tree.flatten(partition(_as_arrays(tree))[0])
        shapes = tuple(tuple(leaf.shape) for leaf in leaves)
        wanted = tuple(lead + shape for shape in self.shapes)
        if treedef != self.treedef or shapes != wanted:
            raise ValueError(
                f"positions must have the structure that the search began with and leaves of "
                f"{wanted}, got {shapes}; pass what `ask` gave."
            )
        rows = [xp.asarray(leaf, self.dtype).reshape((*lead, -1)) for leaf in leaves]
        return xp.concatenate(rows, axis=-1)


def _as_arrays(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda a: jnp.asarray(a) if isinstance(a, np.ndarray) else a, tree)


def _zeros(leaf: Any) -> Any:
    return jnp.zeros(leaf.shape, leaf.dtype) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf


def describe(like: PyTree) -> tuple[Form, Float[Array, " dims"], PyTree]:
    """The form of a pytree, its numbers as a row, and the arrays that are not searched.

    Raises:
        ValueError: for a pytree without an array of floats, or with complex ones.

    >>> form, row, _ = describe({"a": jnp.ones(2), "b": jnp.zeros((1, 3))})
    >>> form.dims, row.tolist()
    (5, [1.0, 1.0, 0.0, 0.0, 0.0])
    """
    searched, rest = partition(jax.tree.map(_zeros, _as_arrays(like)))
    leaves, treedef = jax.tree.flatten(searched)
    if not sum(leaf.size for leaf in leaves):
        raise ValueError(
            "`like` must be a pytree with at least one array of floats to search over; of a number "
            "make an array, jnp.asarray(0.0)."
        )
    if any(jnp.iscomplexobj(leaf) for leaf in leaves):
        raise ValueError("`like` must hold real numbers; search over real and imaginary parts.")
    frozen, static = eqx.partition(rest, eqx.is_array)
    others, static_treedef = jax.tree.flatten(static)
    shapes = tuple(tuple(leaf.shape) for leaf in leaves)
    dtypes = tuple(str(leaf.dtype) for leaf in leaves)
    form = Form(treedef, shapes, dtypes, tuple(others), static_treedef)
    return form, form.flat(like_arrays(searched), ()), frozen


def like_arrays(searched: PyTree) -> PyTree:
    """Leaves as JAX arrays."""
    return jax.tree.map(jnp.asarray, searched)


def check_bounds(bounds: Any) -> None:
    """Raises a ValueError unless `bounds` is None or a pair (low, high) that is finite and ordered.

    >>> check_bounds((1.0, -1.0))
    Traceback (most recent call last):
    ValueError: `bounds` must be (low, high) with low below high everywhere, got 1.0 and -1.0.
    """
    if bounds is None:
        return
    if not (isinstance(bounds, (tuple, list)) and len(bounds) == 2):
        raise ValueError(f"`bounds` must be a pair (low, high) or None, got {bounds!r}.")
    ends = [[np.asarray(leaf) for leaf in jax.tree.leaves(end)] for end in bounds]
    if not all(np.isfinite(leaf).all() for end in ends for leaf in end):
        raise ValueError(f"`bounds` must be finite, got {bounds!r}; None searches without walls.")
    if len(ends[0]) == len(ends[1]):
        for low, high in zip(*ends, strict=True):
            if not (low < high).all():
                raise ValueError(
                    f"`bounds` must be (low, high) with low below high everywhere, "
                    f"got {low} and {high}."
                )


def box(
    bounds: tuple[PyTree, PyTree], form: Form
) -> tuple[Float[Array, " dims"], Float[Array, " dims"]]:
    """Lower and upper walls of every number.

    Each of the two is a number, a pytree like the position, or the upper part of one; its leaves
    are broadcast to the leaves of the position.

    >>> form, *_ = describe({"a": jnp.ones(2), "b": jnp.zeros(1)})
    >>> [wall.tolist() for wall in box(({"a": 0.0, "b": -1.0}, 2.0), form)]
    [[0.0, 0.0, -1.0], [2.0, 2.0, 2.0]]
    """
    low, high = (_wall(end, form) for end in bounds)
    if not (low < high).all():
        raise ValueError(
            f"`bounds` must be (low, high) with low below high everywhere, got {bounds!r}."
        )
    return jnp.asarray(low, form.dtype), jnp.asarray(high, form.dtype)


def _wall(end: PyTree, form: Form) -> np.ndarray:
    like = jax.tree.unflatten(form.treedef, range(len(form.shapes)))
    try:
        leaves = jax.tree.leaves(jax.tree.broadcast(end, like))
        rows = [
            np.broadcast_to(np.asarray(leaf, float), shape).ravel()
            for leaf, shape in zip(leaves, form.shapes, strict=True)
        ]
    except ValueError as error:
        raise ValueError(
            f"`bounds` must be numbers or pytrees like the position, whose leaves are "
            f"{form.shapes}, got {end!r}."
        ) from error
    return np.concatenate(rows)
