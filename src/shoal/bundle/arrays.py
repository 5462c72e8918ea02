"""A pytree's arrays by path: `rnn.cell.params.w` is what both bundles and exports call a leaf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from shoal.bundle.manifest import BundleError


def path_name(path: tuple) -> str:
    """A leaf's place, its parts joined by dots."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """The arrays (or their shapes, in a template) of a pytree by path.

    Raises:
        BundleError: two leaves have one name, or a leaf is a typed random key.

    >>> import jax.numpy as jnp
    >>> list(named_leaves({"w": [jnp.ones(2), 3.0]}))
    ['w.0']
    """
    named: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if not is_array(leaf):
            continue
        name = path_name(path)
        if name in named:
            raise BundleError(f"two arrays of the member are both called {name}; rename one")
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise BundleError(f"{name} is a random key, which no file can hold; use its key data")
        named[name] = leaf
    return named


def is_array(leaf: Any) -> bool:
    """An array, or the shape and type of one."""
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


def filled(template: PyTree, arrays: Mapping[str, Any], *, lead: tuple[int, ...] = ()) -> PyTree:
    """The template with its arrays, each with `lead` axes more, taken from `arrays` by path.

    Raises:
        BundleError: an array is missing, left over, or of another shape or type.
    """
    wanted = named_leaves(template)
    extra = sorted(set(arrays) - set(wanted))
    if extra:
        raise BundleError(f"the file has {extra[0]}, for which the member has no place")
    for name, leaf in wanted.items():
        if name not in arrays:
            raise BundleError(f"the file lacks {name} {(*lead, *leaf.shape)}")
        found, shape = arrays[name], (*lead, *leaf.shape)
        if tuple(found.shape) != shape or found.dtype != leaf.dtype:
            raise BundleError(
                f"{name} is {found.dtype}{tuple(found.shape)} in the file, "
                f"but the member needs {np.dtype(leaf.dtype)}{shape}"
            )
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: arrays[path_name(path)] if is_array(leaf) else leaf, template
    )
