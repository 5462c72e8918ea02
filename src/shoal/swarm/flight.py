"""A move of a particle swarm, and what follows a look at the losses: functions of the state."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from shoal.swarm import draws, motion
from shoal.swarm.axes import learned, principal
from shoal.swarm.boundaries import BOUNDARIES
from shoal.swarm.convergence import start_anew
from shoal.swarm.neighbourhoods import best_informant
from shoal.swarm.state import SwarmState, replaced


def move(swarm: Any, state: SwarmState) -> SwarmState:
    """Every particle one step further; those that nobody has looked at stay."""
    x, own = state.position, state.best_position
    u = draws.pair(swarm.random, state.key, state.iteration, x.shape, x.dtype)
    heard = own[best_informant(state.table, state.best_value)]
    axes = None if state.spread is None else principal(state.spread)
    still = (1.0, 0.0, 0.0)  # velocities stay as they were drawn
    pulls = (swarm.inertia, swarm.cognitive, swarm.social)
    pulls = tuple(jnp.where(state.fresh, *pair) for pair in zip(still, pulls, strict=True))
    v = motion.velocity(state.velocity, x, own, heard, u, pulls, axes)
    if swarm.velocity_limit is not None:
        v = motion.limited(v, swarm.velocity_limit * (state.high - state.low), jnp)
    moved, v = _inside(swarm, state, x, v)
    return replaced(state, position=jnp.where(state.fresh, x, moved), velocity=v)


def _inside(swarm: Any, state: SwarmState, x: Array, v: Array) -> tuple[Array, Array]:
    if swarm.bounds is None:
        return x + v, v
    u = jnp.zeros((), x.dtype)
    if swarm.boundary == "resample":
        u = draws.pair(swarm.random, _other(state.key), state.iteration, x.shape, x.dtype)[0]
    x, v = BOUNDARIES[swarm.boundary](x, v, state.low, state.high, u)
    return jnp.clip(x, state.low, state.high), v  # rounding


def _other(key: PRNGKeyArray) -> PRNGKeyArray:
    return jax.random.fold_in(key, 2)


def settle(swarm: Any, state: SwarmState) -> SwarmState:
    """What follows a look at the losses: better axes, new neighbours, a new start."""
    if state.spread is not None:
        state = replaced(state, spread=learned(state.spread, state.best_position))
    if swarm.neighbourhood.redrawn:
        key = jax.random.fold_in(jax.random.fold_in(state.key, 3), state.iteration)
        fresh = swarm.neighbourhood.table(swarm.n_particles, key)
        state = replaced(state, table=jnp.where(state.stalled > 0, fresh, state.table))
    if swarm.restarts and swarm.convergence is not None:
        over = swarm.convergence.reached(state)
        state = jax.lax.cond(over, lambda s: start_anew(s, 1.0), lambda s: s, state)
    return state
