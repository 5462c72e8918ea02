"""Members that have their matrices in common: what is shared once, what is their own stacked.

    member i's matrix = W ∘ r_i s_iᵀ

Each is an ordinary member (`SharedGroup.members` works them all out), so whatever takes a
population takes this one. Trained and asked side by side, the rows of all members go through W in
one matrix product; see `shoal.neurons.shared_matrix`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from shoal.neurons.frozen import set_dropout
from shoal.neurons.shared_matrix import SharedMatrix, dense, is_shared
from shoal.population.shared_layout import Layout, find_layout, is_place
from shoal.population.sharing import Sharing
from shoal.population.strategy import quick_compile
from shoal.population.taking import take

_STREAM = 0x7368_6172  # keeps r and s apart from what else is drawn from a member's seed


class Fast(NamedTuple):
    """r by matrix and s by signal; stacked, (members, ...)."""

    rows: dict[str, Array]
    signals: dict[str, Array]


class SharedGroup(eqx.Module):
    """Members of one structure that share matrices; `indices` are their places.

    `common` holds W where a matrix is shared, `own` everything else, stacked.
    """

    common: PyTree
    own: PyTree
    fast: Fast
    indices: tuple[int, ...] = eqx.field(static=True)
    layout: Layout = eqx.field(static=True)
    sharing: Any = eqx.field(static=True)

    @property
    def size(self) -> int:
        return len(self.indices)

    @property
    def members(self) -> PyTree:
        """The members as they would be if they shared nothing, stacked."""
        return _all_worked_out(self)

    def parts(self) -> tuple[PyTree, Callable[[PyTree], PyTree]]:
        """Arrays with the axis members first, and what makes one's of them that member."""
        own, static = eqx.partition(self.own, eqx.is_array)

        def member(arrays: PyTree) -> PyTree:
            own, fast = arrays
            return assembled(self.layout, self.common, eqx.combine(own, static), fast)

        return (own, self.fast), member

    def take(self, place: int) -> PyTree:
        """The member at a place, worked out."""
        arrays, member = self.parts()
        return worked_out(member(take(arrays, place)))

    def select(self, places: Sequence[int] | np.ndarray, indices: tuple[int, ...]) -> SharedGroup:
        """Some of the members, which share on."""
        chosen = np.asarray(places)
        own, fast = take(self.own, chosen), take(self.fast, chosen)
        return SharedGroup(self.common, own, fast, indices, self.layout, self.sharing)

    def with_dropout(self, rates: Array) -> SharedGroup:
        """The members with other rates of dropout, one per member."""
        return eqx.tree_at(lambda group: group.own, self, set_dropout(self.own, rates))

    def _worked_out(self, own: PyTree, fast: Fast) -> PyTree:
        _, static = eqx.partition(self.own, eqx.is_array)
        member = assembled(self.layout, self.common, eqx.combine(own, static), fast)
        return worked_out(member)


def shared_group(
    make: Callable[[PRNGKeyArray], PyTree], seeds: Sequence[int], sharing: Sharing
) -> SharedGroup:
    """New members that share matrices, in one compiled program.

    W is the first member's; what else there is of member i is `make(jax.random.key(seeds[i]))`'s.

    Raises:
        ValueError: a member has nothing to share, or a part that cannot be shared.
    """
    static: list[PyTree] = []
    example = eqx.filter_eval_shape(make, jax.random.key(0))
    layout = find_layout(example, sharing)

    def parts(seed: Array) -> tuple[PyTree, PyTree]:
        common, rest = _split(layout, make(jax.random.key(seed)))
        own, others = eqx.partition(rest, eqx.is_array)
        static[:] = [others]
        return common, own

    def create(seeds: Array):
        own = jax.lax.map(lambda seed: parts(seed)[1], seeds)
        fast = jax.vmap(lambda seed: first_fast(layout, sharing, seed, example))(seeds)
        return parts(seeds[0])[0], own, fast

    common, own, fast = jax.jit(create, compiler_options=quick_compile())(
        np.array(seeds, np.uint32)
    )
    own = eqx.combine(own, static[0])
    return SharedGroup(common, own, fast, tuple(range(len(seeds))), layout, sharing)


def first_fast(layout: Layout, sharing: Sharing, seed: Any, like: PyTree) -> Fast:
    """Where r and s of the member with this seed start."""
    key = jax.random.fold_in(jax.random.key(seed), _STREAM)
    dtype = jnp.result_type(*(leaf.dtype for leaf in jax.tree.leaves(_split(layout, like)[0])))
    free = {f"s{name}" for name, (_, steady) in layout.signals.items() if not steady}
    free |= {f"r{place.path}" for place in layout.places if not place.steady}
    if sharing.first_only:
        free &= {f"s{layout.first}"}
    sizes = {f"r{place.path}": place.rows for place in layout.places}
    sizes |= {f"s{name}": width for name, (width, _) in layout.signals.items()}

    def start(number: int, name: str, size: int) -> Array:
        if name not in free:
            return jnp.ones(size, dtype)
        own = jax.random.fold_in(key, number)
        if sharing.start == "signs":
            return jax.random.rademacher(own, (size,), dtype)
        return 1 + sharing.spread * jax.random.normal(own, (size,), dtype)

    drawn = {name: start(n, name, size) for n, (name, size) in enumerate(sizes.items())}
    return Fast(
        {name[1:]: value for name, value in drawn.items() if name[0] == "r"},
        {name[1:]: value for name, value in drawn.items() if name[0] == "s"},
    )


def assembled(layout: Layout, common: PyTree, own: PyTree, fast: Fast) -> PyTree:
    """One member, its shared matrices as `SharedMatrix`."""
    leaves, tree = jax.tree.flatten(common)
    tuned = [
        SharedMatrix(
            shared,
            fast.rows[place.path],
            jnp.concatenate([fast.signals[name] for name, _ in place.signals]),
        )
        for shared, place in zip(leaves, layout.places, strict=True)
    ]
    return eqx.combine(jax.tree.unflatten(tree, tuned), own, is_leaf=is_shared)


@eqx.filter_jit
def _all_worked_out(group: SharedGroup) -> PyTree:
    return eqx.filter_vmap(group._worked_out)(*eqx.filter((group.own, group.fast), eqx.is_array))


def worked_out(member: PyTree) -> PyTree:
    """The member with arrays in place of its shared matrices."""
    return jax.tree.map(dense, member, is_leaf=is_shared)


def _split(layout: Layout, member: PyTree) -> tuple[PyTree, PyTree]:
    """The shared matrices of a member, and everything else."""
    return eqx.partition(member, is_place(layout, member))
