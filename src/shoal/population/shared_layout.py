"""Which matrices of a member are shared, and what tunes them.

A shared matrix has an r of its own. Its s is put together from the signals that its columns hear:
a signal is tuned once for all matrices that hear it, so that cells may join these matrices into
one (see `AbstractCell.signals`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
from jax.tree_util import keystr, tree_flatten_with_path
from jaxtyping import PyTree

from shoal.neurons.cell import AbstractCell
from shoal.neurons.frozen import partition
from shoal.population.sharing import Sharing


class Place(NamedTuple):
    """One shared matrix: where it is, its r's length, the signals that make up its s."""

    path: str
    rows: int
    signals: tuple[tuple[str, int], ...]
    steady: bool


class Layout(NamedTuple):
    """All shared matrices of a member, in the order of its leaves."""

    places: tuple[Place, ...]

    @property
    def signals(self) -> dict[str, tuple[int, bool]]:
        """Width of every signal, and whether it must keep its sign."""
        found: dict[str, tuple[int, bool]] = {}
        for place in self.places:
            for name, width in place.signals:
                found[name] = (width, place.steady or found.get(name, (0, False))[1])
        return found

    @property
    def first(self) -> str:
        """The signal that the first matrix hears, of those that may change their sign."""
        free = [place for place in self.places if not place.steady] or list(self.places)
        return free[0].signals[0][0]


def find_layout(member: PyTree, sharing: Sharing) -> Layout:
    """The layout of members like this one (whose arrays may be shapes).

    Raises:
        ValueError: nothing can be shared, or a part is clipped after each step of training.
    """
    _refuse_bounds(member)
    heard, steady = _cells(member)
    leaves, _ = tree_flatten_with_path(partition_shapes(member))
    matrices = [(keystr(path), leaf.shape) for path, leaf in leaves if len(leaf.shape) == 2]
    if sharing.own_head:
        matrices = matrices[:-1]  # a member's last matrix is its head
    if not matrices:
        raise ValueError(
            f"members must have matrices to share with {sharing.kind!r}, found none"
            + (" besides the head" if sharing.own_head else "")
        )
    return Layout(
        tuple(
            Place(path, shape[0], heard.get(path, ((path, shape[1]),)), path in steady)
            for path, shape in matrices
        )
    )


def partition_shapes(member: PyTree) -> PyTree:
    """What is trained of a member, also where its arrays are only shapes."""
    shapes = jax.tree.map(lambda a: a if _is_shape(a) else None, member)
    return jax.eval_shape(lambda tree: partition(tree)[0], shapes)


def is_place(layout: Layout, member: PyTree) -> PyTree:
    """A member's tree with True where a shared matrix is."""
    paths = {place.path for place in layout.places}
    return jax.tree_util.tree_map_with_path(lambda path, _: keystr(path) in paths, member)


def _is_shape(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


def _cells(member: PyTree) -> tuple[dict[str, Any], set[str]]:
    """What cells say of their matrices, by path: the signals they hear, and which are steady."""
    heard: dict[str, Any] = {}
    steady: set[str] = set()
    for prefix, cell in _find(member, ""):
        at = f"{prefix}.params"
        for name, signals in cell.signals().items():
            own = tuple((f"{at}:{signal}", width) for signal, width in signals)
            heard[f"{at}['{name}']"] = own
        steady |= {f"{at}['{name}']" for name in cell.steady}
    return heard, steady


def _find(root: PyTree, prefix: str) -> Iterator[tuple[str, AbstractCell]]:
    """Every cell and its path, also those inside another."""

    def is_cell(node: Any) -> bool:
        return isinstance(node, AbstractCell) and node is not root

    for path, node in tree_flatten_with_path(root, is_leaf=is_cell)[0]:
        if isinstance(node, AbstractCell):
            at = prefix + keystr(path)
            yield at, node
            yield from _find(node, at)


def _refuse_bounds(member: PyTree) -> None:
    def is_bounded(node: Any) -> bool:
        return isinstance(node, eqx.Module) and hasattr(node, "constrained")

    for node in jax.tree.leaves(member, is_leaf=is_bounded):
        if is_bounded(node) and not getattr(node, "implicit_param_constraints", False):
            raise ValueError(
                "members that share matrices cannot be clipped one by one, as a "
                f"{type(node).__name__} would after each step; set implicit_param_constraints=True"
            )
