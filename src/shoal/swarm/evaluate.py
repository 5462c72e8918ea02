"""The losses of all particles: side by side, one after the other, or in chunks.

What is fastest depends on the device and on how much memory one evaluation touches; see
`preferred`. All give the same losses, up to the rounding of sums that are done in another order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, PyTree

from shoal.swarm.space import Form

AXIS = "members"

How = str | int  # "vmap", "map", or how many at once


def check_how(how: Any) -> None:
    """Raises a ValueError unless `how` is "auto", "vmap", "map" or a whole number above 0."""
    number = isinstance(how, int) and not isinstance(how, bool) and how > 0
    if not number and how not in ("auto", "vmap", "map"):
        raise ValueError(
            f"`evaluate` must be 'auto', 'vmap', 'map' or how many particles at once, got {how!r}."
        )


MODEL = 1000  # numbers in a position from which it is taken for a model

CHUNK = 8


def preferred(form: Form) -> How:
    """All at once on an accelerator and for short positions; models on a CPU eight at a time.

    Measured with a network of 5000 weights and 1024 rows on two cores: what eight of them compute
    stays in the cache, what 64 compute does not. `evaluate="measure"` tries it for another loss.
    """
    model_on_cpu = form.dims >= MODEL and jax.default_backend() == "cpu"
    return CHUNK if model_on_cpu else "vmap"


def over_rows(one: Callable[[Array], PyTree], rows: Float[Array, "some dims"], how: How) -> PyTree:
    """`one(row)` of every row, stacked."""
    if how == "vmap":
        return jax.vmap(one)(rows)
    return jax.lax.map(one, rows, batch_size=None if how == "map" else int(how))


def loss_of_row(loss: Callable, form: Form, frozen: PyTree, args: tuple) -> Callable:
    """The loss of one row as a scalar."""

    def one(row: Float[Array, " dims"]) -> Float[Array, ""]:
        value = jnp.asarray(loss(form.build(row, frozen), *args))
        if value.shape != ():
            raise ValueError(
                f"the loss must be one number, got an array of {value.shape}; take its mean or sum."
            )
        return value

    return one


def losses(
    loss: Callable, form: Form, frozen: PyTree, args: tuple, how: How, mesh: Mesh | None = None
) -> Callable[[Array], Array]:
    """`rows -> losses`, every device its own share of the rows."""

    def evaluate(rows, frozen, args):
        return over_rows(loss_of_row(loss, form, frozen, args), rows, how)

    if mesh is None:
        return lambda rows: evaluate(rows, frozen, args)
    share = jax.shard_map(
        evaluate, mesh=mesh, in_specs=(P(AXIS), P(), P()), out_specs=P(AXIS), check_vma=False
    )
    return lambda rows: share(rows, frozen, args)
