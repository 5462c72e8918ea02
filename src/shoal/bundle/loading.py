"""Loading a collective: a template is built, then filled with the bundle's arrays.

Nothing in a bundle is executed. What a member is comes from the registry of kinds, or from the
user's own `make`; the bundle only says which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree

from shoal.bundle import registry
from shoal.bundle.arrays import filled
from shoal.bundle.contents import read_around
from shoal.bundle.manifest import BundleError, read_arrays, read_manifest
from shoal.collective import Collective
from shoal.population import Group, Population

Make = Callable[[PRNGKeyArray], PyTree]


def load(path: str | Path, make: Make | Sequence[Make] | None = None) -> Collective:
    """The collective that was saved in folder `path`.

    Args:
        path: of `shoal.save`.
        make: `make(key) -> member` for members of a kind of your own; a list of them, one for each
            group of members of one structure, in the order of their first members.

    Raises:
        BundleError: a file is missing or damaged, the format or a kind is unknown, or an array
            does not fit the member: its path is named, with both shapes.
    """
    manifest = read_manifest(path)
    arrays = read_arrays(path, manifest, "members")
    makes = list(make) if isinstance(make, Sequence) else [make] * len(manifest["groups"])
    if len(makes) != len(manifest["groups"]):
        raise BundleError(
            f"`make` must have one entry for each of the {len(manifest['groups'])} groups, "
            f"got {len(makes)}"
        )
    groups = tuple(
        _group(path, number, entry, own, arrays)
        for number, (entry, own) in enumerate(zip(manifest["groups"], makes, strict=True))
    )
    around = read_around(path, manifest)
    return Collective(
        Population(groups, around.seeds),
        around.weighting,
        scaling=around.scaling,
        schema=around.schema,
        calibration=around.calibration,
        recalibration=around.recalibration,
        novelty=around.novelty,
    )


def _group(path: Any, number: int, entry: dict, make: Make | None, arrays: dict) -> Group:
    if make is not None:
        like = registry.shapes_of(make)
    elif entry.get("kind") is None:
        named = entry.get("description", {}).get("class", "unknown")
        raise BundleError(
            f"group {number} of {path} holds members of the class {named}, "
            "which no kind describes; give `make`, which builds such a member from a key"
        )
    else:
        like = registry.template(entry["kind"], entry.get("description", {}))
    prefix = f"{number}/"
    own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    indices = tuple(int(i) for i in entry["members"])
    try:
        stack = filled(like, own, lead=(len(indices),))
    except BundleError as error:
        raise BundleError(f"group {number} of {path}: {error}") from None
    return Group(jax.tree.map(lambda a: jnp.asarray(a) if _is_numpy(a) else a, stack), indices)


def _is_numpy(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray)
