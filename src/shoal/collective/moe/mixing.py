"""Mixing: tokens to their experts, answers back, weighted; on one device or on a mesh.

    y_t = Σ_{i chosen by t} g_ti · f_i(x_t)

On a mesh with the axis `experts`, every device holds E/n experts and computes their assignments of
its tokens; the answers are summed over the devices. Tokens are divided over an axis `data`, where
there is one and it fits, and are otherwise on every device.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from shoal.collective.moe.dispatch import by_experts, by_tokens, give_back, take
from shoal.collective.moe.grouped import grouped
from shoal.collective.moe.routed import Routed

AXIS = "experts"


class Devices(eqx.Module):
    """Where experts are: over a mesh, or all on one device."""

    mesh: Mesh | None = eqx.field(static=True)


def mix(
    experts: Any, x: Float[Array, "tokens inputs"], routed: Routed, mesh: Mesh | None = None
) -> Float[Array, "tokens outputs"]:
    """The weighted sum of the chosen experts' answers, in at least float32; 0 where nobody is."""
    if mesh is None:
        return _mix(experts, x, routed.experts, routed.weights, routed.tokens, routed.n_experts)
    return _over_devices(experts, x, routed, mesh)


def place(experts: Any, mesh: Mesh) -> tuple[Any, Devices]:
    """Stacked experts with each device's share on it, and where that is.

    Raises:
        ValueError: the mesh has no axis `experts`, or its size does not divide their number.
    """
    arrays = [a for a in jax.tree.leaves(experts) if isinstance(a, jax.Array)]
    n_experts = arrays[0].shape[0]
    if AXIS not in mesh.axis_names or n_experts % mesh.shape[AXIS]:
        found = dict(mesh.shape)
        raise ValueError(
            f"`mesh` must have an axis 'experts' whose size divides the {n_experts} experts, "
            f"got {found}; jax.make_mesh((n,), ('experts',)) makes one."
        )

    mesh = Mesh(mesh.devices, mesh.axis_names)  # shardings of what comes in need not be spelt out
    share = NamedSharding(mesh, P(AXIS))

    def put(leaf):
        return jax.device_put(leaf, share) if isinstance(leaf, jax.Array) else leaf

    return jax.tree.map(put, experts), Devices(mesh)


def _mix(experts, x, chosen, weights, tokens, n_experts: int):
    plan = by_tokens(chosen, n_experts) if tokens is None else by_experts(tokens, chosen)
    y = grouped(experts, take(x, plan), plan.counts, plan.sizes)
    if tokens is not None:
        weights = weights.reshape(-1)[plan.order]
    return give_back(y, weights, plan, len(x))


def _over_devices(experts, x, routed: Routed, mesh: Mesh):
    each = routed.n_experts // mesh.shape[AXIS]
    split = "data" if "data" in mesh.axis_names and routed.tokens is None else None
    if split and len(x) % mesh.shape[split]:
        split = None
    rows, choices = P(split), P(split) if routed.tokens is None else P(AXIS)

    def mine(experts, x, chosen, weights, tokens):
        local = chosen - each * jax.lax.axis_index(AXIS)
        local = jnp.where((local >= 0) & (local < each), local, each)
        return jax.lax.psum(_mix(experts, x, local, weights, tokens, each), AXIS)

    specs = P(AXIS), rows, choices, choices, P(AXIS)
    run = jax.shard_map(mine, mesh=mesh, in_specs=specs, out_specs=rows, check_vma=False)
    return run(experts, x, routed.experts, routed.weights, routed.tokens)
