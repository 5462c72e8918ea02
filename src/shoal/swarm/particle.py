"""Particle swarm optimisation: `init`, `ask`, `tell`, and `minimise` as one compiled program.

The equations are in `motion.py`; who listens to whom in `neighbourhoods.py`; the walls in
`boundaries.py`; when it starts anew in `convergence.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from shoal.equations.checks import require_above_zero, require_one_of, require_positive
from shoal.neurons.initialise import as_key
from shoal.swarm import axes as learned_axes
from shoal.swarm import draws, motion
from shoal.swarm.axes import learns
from shoal.swarm.boundaries import BOUNDARIES
from shoal.swarm.convergence import DEFAULT, Convergence, first_velocity
from shoal.swarm.devices import on_mesh
from shoal.swarm.flight import move, settle
from shoal.swarm.neighbourhoods import NEIGHBOURHOODS, Neighbourhood
from shoal.swarm.problem import Problem
from shoal.swarm.result import Result
from shoal.swarm.search import minimise
from shoal.swarm.space import Form, box, check_bounds, describe
from shoal.swarm.state import SwarmState, learn, scatter


class ParticleSwarm(eqx.Module):
    """A swarm of particles that remember, listen, and move on.

    Args:
        n_particles: 12 by default, good for a few thousand evaluations; large swarms for more.
        bounds: (low, high), each a number or a pytree like the position; None searches without
            walls, from `like` ± `spread`.
        inertia, cognitive, social: w, c₁, c₂ of `motion.py`; constriction by default.
        neighbourhood: "global", "ring", "von_neumann", "random", or one of
            `shoal.swarm.neighbourhoods` with its own arguments.
        boundary: "clip", "reflect", "periodic" or "resample", see `boundaries.py`.
        axes: "coordinates", "learned" (see `axes.py`), or "auto": learned up to 40 dimensions.
        velocity_limit: the most a particle moves at once in one dimension, in widths of the box;
            None for no limit.
        restarts: whether a converged swarm starts anew.
        convergence: the rule for that; None never converges.
        random: "hash", "split" or "full", see `draws.py`.
        spread: half the width of the box around `like` in which a search without bounds begins.

    Raises:
        ValueError: for sizes that are not positive, names that do not exist, bounds that are not
            finite or upside down.

    >>> swarm = ParticleSwarm(n_particles=20, bounds=(-5.0, 5.0))
    >>> found = swarm.minimise(lambda x: jnp.sum(x**2), jnp.zeros(3), iterations=120, key=0)
    >>> bool(found.value < 1e-6), found.best.shape
    (True, (3,))

    By hand, with fitness from anywhere:

    >>> state = swarm.init(0, jnp.zeros(3))
    >>> for _ in range(10):
    ...     positions, state = swarm.ask(state)
    ...     state = swarm.tell(state, positions, (positions**2).sum(1))
    >>> positions.shape, bool(state.found_value < 1.0)
    ((20, 3), True)
    """

    bounds: Any
    n_particles: int = eqx.field(static=True)
    inertia: float = eqx.field(static=True)
    cognitive: float = eqx.field(static=True)
    social: float = eqx.field(static=True)
    neighbourhood: Any = eqx.field(static=True)
    boundary: str = eqx.field(static=True)
    axes: str = eqx.field(static=True)
    velocity_limit: float | None = eqx.field(static=True)
    restarts: bool = eqx.field(static=True)
    convergence: Convergence | None = eqx.field(static=True)
    random: str = eqx.field(static=True)
    spread: float = eqx.field(static=True)

    def __init__(
        self,
        n_particles: int = 12,
        bounds: Any = None,
        *,
        inertia: float = motion.INERTIA,
        cognitive: float = motion.COGNITIVE,
        social: float = motion.SOCIAL,
        neighbourhood: str | Neighbourhood = "global",
        boundary: str = "clip",
        axes: str = "auto",
        velocity_limit: float | None = 0.2,
        restarts: bool = True,
        convergence: Convergence | None = DEFAULT,
        random: str = "hash",
        spread: float = 1.0,
    ):
        require_positive(n_particles=n_particles)
        require_above_zero(spread=spread)
        if velocity_limit is not None:
            require_above_zero(velocity_limit=velocity_limit)
        for name, value in [("inertia", inertia), ("cognitive", cognitive), ("social", social)]:
            if not 0 <= value < float("inf"):
                raise ValueError(f"`{name}` must be at least 0 and finite, got {value!r}.")
        if isinstance(neighbourhood, str):
            require_one_of("neighbourhood", neighbourhood, NEIGHBOURHOODS)
            neighbourhood = NEIGHBOURHOODS[neighbourhood]()
        require_one_of("boundary", boundary, BOUNDARIES)
        require_one_of("axes", axes, learned_axes.KINDS)
        require_one_of("random", random, draws.KINDS)
        check_bounds(bounds)
        self.n_particles, self.bounds = n_particles, bounds
        self.inertia, self.cognitive, self.social = inertia, cognitive, social
        self.neighbourhood, self.boundary, self.axes = neighbourhood, boundary, axes
        self.velocity_limit, self.random, self.spread = velocity_limit, random, float(spread)
        self.restarts, self.convergence = restarts, convergence

    def init(
        self, key: PRNGKeyArray | int, like: PyTree, start: PyTree | None = None
    ) -> SwarmState:
        """A swarm scattered over the box.

        Args:
            key: a JAX key or an int seed.
            like: any pytree with arrays of floats (or `jax.ShapeDtypeStruct`): what a position is.
                With bounds its numbers do not matter; without, they are where the search begins.
            start: positions of the first particles, a pytree like `like` whose searched leaves
                have a leading axis of at most `n_particles`; moved to the wall where they are
                outside the box.
        """
        form, centre, frozen = describe(like)
        if self.bounds is None:
            low, high = centre - self.spread, centre + self.spread
        else:
            low, high = box(self.bounds, form)
        first = None if start is None else self._first(form, start)
        return _init(self, form, as_key(key), low, high, frozen, first)

    def ask(self, state: SwarmState) -> tuple[PyTree, SwarmState]:
        """The next positions, to be evaluated; searched leaves have the leading axis particles."""
        return _ask(self, state)

    def tell(self, state: SwarmState, positions: PyTree, fitness: Array) -> SwarmState:
        """The losses (particles,) of these positions; lower is better, NaN counts as ∞."""
        fitness = jnp.asarray(fitness)
        if fitness.shape != (self.n_particles,):
            raise ValueError(
                f"`fitness` must be one loss per particle, ({self.n_particles},), "
                f"got {fitness.shape}."
            )
        return _tell(self, state, positions, fitness)

    def minimise(self, loss: Callable, like: PyTree = None, **options) -> Result:
        """The lowest `loss(position, *args)` found, in one compiled program.

        Takes what `shoal.swarm.minimise` takes.
        """
        return minimise(self, loss, like, **options)

    def cost(self) -> int:
        """Evaluations in one move."""
        return self.n_particles

    def advance(self, state: SwarmState, problem: Problem) -> SwarmState:
        """One move, and what it found."""
        state = on_mesh(move(self, state), problem.mesh)
        return settle(self, learn(state, state.position, problem.losses(state.position)))

    def converged(self, state: SwarmState) -> Array:
        """Whether the search is over: it has converged, and does not start anew."""
        if self.convergence is None or self.restarts:
            return jnp.zeros((), bool)
        return self.convergence.reached(state)

    def _first(self, form: Form, start: PyTree) -> Float[Array, "first dims"]:
        leaves = jax.tree.leaves(eqx.filter(start, eqx.is_inexact_array))
        lead = leaves[0].shape[0] if leaves and leaves[0].ndim else 0
        if not 1 <= lead <= self.n_particles:
            raise ValueError(
                f"`start` must have a leading axis of 1 to {self.n_particles} particles, "
                f"got {lead or 'none'}."
            )
        return form.flat(start, (lead,))


@eqx.filter_jit
def _init(swarm: ParticleSwarm, form: Form, key, low, high, frozen, first) -> SwarmState:
    n, (places, speeds, listeners, own) = swarm.n_particles, jax.random.split(key, 4)
    position = scatter(places, n, low, high)
    if first is not None:
        first = first if swarm.bounds is None else jnp.clip(first, low, high)
        position = position.at[: len(first)].set(first)
    zero, unknown = jnp.zeros((), jnp.int32), jnp.full(n, jnp.inf, form.dtype)
    return SwarmState(
        position=position,
        velocity=first_velocity(speeds, position, low, high, 1.0),
        value=unknown,
        best_position=position,
        best_value=unknown,
        found_position=position[0],
        found_value=jnp.asarray(jnp.inf, form.dtype),
        low=low,
        high=high,
        table=swarm.neighbourhood.table(n, listeners),
        spread=jnp.eye(form.dims, dtype=form.dtype) if learns(swarm.axes, form.dims) else None,
        fresh=jnp.ones((), bool),
        stalled=zero,
        iteration=zero,
        evaluations=zero,
        gradients=zero,
        restarts=zero,
        key=own,
        frozen=frozen,
        form=form,
    )


@eqx.filter_jit
def _ask(swarm: ParticleSwarm, state: SwarmState) -> tuple[PyTree, SwarmState]:
    state = move(swarm, state)
    return state.positions, state


@eqx.filter_jit
def _tell(swarm: ParticleSwarm, state: SwarmState, positions, fitness) -> SwarmState:
    x = state.form.flat(positions, (swarm.n_particles,))
    return settle(swarm, learn(state, x, fitness))
