"""Particles divided among devices: each evaluates its own share, and moves it.

Random numbers belong to a particle, not to a device, and the best of all is a minimum, so that a
swarm on many devices finds what it finds on one. Where axes are learned (`axes.py`) only the
losses are divided: the moves are products of small matrices, whose sums round differently when
the rows are divided, and cost nothing beside the losses.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from shoal.swarm.evaluate import AXIS
from shoal.swarm.state import PER_PARTICLE, SwarmState, replaced


def mesh_for(devices: int | Sequence | None, n_particles: int) -> Mesh | None:
    """A mesh of as many of the devices as divide the particles evenly; None for one.

    Raises:
        ValueError: for more devices than there are.
    """
    if devices is None:
        return None
    if isinstance(devices, int):
        there = jax.devices()
        if not 1 <= devices <= len(there):
            raise ValueError(f"`devices` must be 1 to {len(there)}, what there is, got {devices}.")
        devices = there[:devices]
    used = max(k for k in range(1, len(devices) + 1) if n_particles % k == 0)
    return None if used == 1 else Mesh(np.array(devices[:used]), (AXIS,))


def placed(state: SwarmState, mesh: Mesh | None) -> SwarmState:
    """The state with its particles on their devices and everything else on all of them."""
    if mesh is None:
        return state
    state = jax.device_put(state, NamedSharding(mesh, P()))
    share = NamedSharding(mesh, _share(state))
    return _over_particles(state, lambda a: jax.device_put(a, share))


def on_mesh(state: SwarmState, mesh: Mesh | None) -> SwarmState:
    """The same, said to the compiler."""
    if mesh is None:
        return state
    share = NamedSharding(mesh, _share(state))
    return _over_particles(state, lambda a: jax.lax.with_sharding_constraint(a, share))


def _share(state: SwarmState) -> P:
    return P(AXIS) if state.spread is None else P()


def _over_particles(state: SwarmState, function) -> SwarmState:
    return replaced(state, **{name: function(getattr(state, name)) for name in PER_PARTICLE})
