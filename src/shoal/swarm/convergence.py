"""When a swarm has said all it has to say, and what happens then.

A swarm has converged when its best has not improved for `settle` moves and all its particles' bests
agree,

    max p_value − min p_value ≤ tolerance · |min p_value|,

or when its best has not improved for `patience` moves. It costs one look at the values, none at
the positions. A converged swarm starts anew, elsewhere, with the best of all time kept apart; or,
without restarts, the search ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from shoal.equations.checks import require_above_zero, require_positive
from shoal.swarm.state import SwarmState, replaced, scatter


@dataclass(frozen=True)
class Convergence:
    """The rule at the top of this file.

    Args:
        tolerance: relative distance at which two losses are the same; never finer than four units
            in the last place of the search's dtype.
        settle: moves without improvement before agreement counts.
        patience: moves without improvement after which agreement does not matter.
    """

    tolerance: float = 1e-12
    settle: int = 5
    patience: int = 100

    def __post_init__(self):
        require_above_zero(tolerance=self.tolerance)
        require_positive(settle=self.settle, patience=self.patience)

    def reached(self, state: SwarmState) -> Bool[Array, ""]:
        """Whether the swarm, since its last start, has converged."""
        best, worst = state.best_value.min(), state.best_value.max()
        tolerance = max(self.tolerance, 4 * float(jnp.finfo(best.dtype).eps))
        agree = worst - best <= tolerance * jnp.abs(best)  # false for ∞ − ∞
        settled = agree & (state.stalled >= self.settle)
        return settled | (state.stalled >= self.patience)


DEFAULT = Convergence()


def start_anew(state: SwarmState, speed: float) -> SwarmState:
    """All particles at new random places, their own bests forgotten, the best of all time kept."""
    key = jax.random.fold_in(jax.random.fold_in(state.key, 1), state.iteration)
    places, speeds = jax.random.split(key)
    position = scatter(places, state.position.shape[0], state.low, state.high)
    if state.spread is not None:
        state = replaced(state, spread=jnp.eye(len(state.spread), dtype=state.spread.dtype))
    return replaced(
        state,
        position=position,
        velocity=first_velocity(speeds, position, state.low, state.high, speed),
        best_position=position,
        best_value=jnp.full_like(state.best_value, jnp.inf),
        fresh=jnp.ones_like(state.fresh),
        stalled=jnp.zeros_like(state.stalled),
        restarts=state.restarts + 1,
    )


def first_velocity(key, position: Array, low: Array, high: Array, speed: float) -> Array:
    """Half of the way to another random place, times `speed`; 0 is a start at rest."""
    other = scatter(key, position.shape[0], low, high)
    return 0.5 * speed * (other - position)
