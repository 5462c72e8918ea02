"""Kinds of members: how a model is described in JSON, and built from that again.

A kind is an object with

    describe(member) -> dict       JSON; TypeError where the member is not of this kind
    build(description, key) -> member

found under the entry points "shoal.kinds", or registered by hand. Loading a bundle builds only what
is found here, or what the user's own `make` builds: no code comes from the bundle.
"""

from __future__ import annotations

import json
import warnings
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray, PyTree

from shoal.bundle.arrays import named_leaves
from shoal.bundle.manifest import BundleError

GROUP = "shoal.kinds"


class Kind(Protocol):
    """One kind of member."""

    def describe(self, member: PyTree) -> dict[str, Any]: ...
    def build(self, description: dict[str, Any], key: PRNGKeyArray) -> PyTree: ...


_REGISTERED: dict[str, Kind] = {}


def register(name: str, kind: Kind) -> None:
    """Makes a kind known under `name`, in this process; packages use the entry point."""
    _REGISTERED[name] = kind


@cache
def _installed() -> dict[str, Any]:
    return {point.name: point for point in entry_points(group=GROUP)}


def kinds() -> tuple[str, ...]:
    """The names of all known kinds."""
    return tuple(sorted({*_REGISTERED, *_installed()}))


def kind(name: str) -> Kind:
    """The kind of that name.

    Raises:
        BundleError: no package knows it.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name not in _installed():
        raise BundleError(
            f"unknown kind of member {name!r}; this installation knows "
            f"{', '.join(kinds()) or 'none'}. Give `make`, which builds such a member from a key"
        )
    return _installed()[name].load()


def describe(member: PyTree) -> tuple[str | None, dict[str, Any]]:
    """The kind's name and the member's description; (None, its class) for a kind of the user's."""
    for name in kinds():
        try:
            description = json.loads(json.dumps(kind(name).describe(member)))
        except TypeError:
            continue
        except ImportError as error:
            warnings.warn(f"the kind {name!r} cannot be imported: {error}", stacklevel=3)
            continue
        _check_inverse(name, description, member)
        return name, description
    return None, {"class": f"{type(member).__module__}.{type(member).__qualname__}"}


def template(name: str, description: dict[str, Any]) -> PyTree:
    """The structure of such a member, with shapes in place of arrays; nothing is computed."""
    try:
        return shapes_of(lambda key: kind(name).build(description, key))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"no {name!r} can be built from its description: {error}") from error


def shapes_of(make: Any) -> PyTree:
    """What `make(key)` would return, with shapes in place of arrays."""
    return eqx.filter_eval_shape(make, jax.eval_shape(lambda: jax.random.key(0)))


def _check_inverse(name: str, description: dict[str, Any], member: PyTree) -> None:
    """A description that builds something else is found now, not when the bundle is needed."""

    def outline(tree: PyTree) -> list[tuple]:
        return [(k, v.shape, str(v.dtype)) for k, v in named_leaves(tree).items()]

    built = template(name, description)
    if outline(built) != outline(member):
        unlike = sorted({str(o[0]) for o in {*outline(built)} ^ {*outline(member)}})
        raise BundleError(
            f"the description of this {name!r} builds another member; they differ in "
            f"{', '.join(unlike)}. Was the model changed by hand? Save it with a kind of its own"
        )
    if jax.tree.structure(built) != jax.tree.structure(member):
        raise BundleError(
            f"the description of this {name!r} builds a member with other settings; "
            "save it with a kind of its own that describes them all"
        )
