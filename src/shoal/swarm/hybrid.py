"""A particle swarm whose best particles go down the gradient for a while.

After every move, the losses told and the bests updated, the `top` particles that are lowest *now*
take `gradient_steps` steps of an optimiser from where they are, inside the box; the best place on
the way is where they go on from. Only then are their own bests and the swarm's best updated, and
the others drawn to them. A particle whose gradient is not finite stays where it is.

A gradient counts as `gradient_cost` evaluations beside the loss it comes with (two by default:
backward costs about twice forward), so that a budget of evaluations means the same for all
swarms. The optimiser starts anew each time; a step is in the units of the position.

Source: hybrids of this kind are known as memetic; e.g. Noel & Jannett, "Simulation of a new hybrid
particle swarm optimization algorithm" (2004).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from shoal.equations.checks import require_above_zero, require_positive
from shoal.population.optimiser import Direction, direction
from shoal.swarm.devices import on_mesh
from shoal.swarm.evaluate import check_how
from shoal.swarm.flight import move, settle
from shoal.swarm.particle import ParticleSwarm
from shoal.swarm.problem import Problem
from shoal.swarm.result import Result
from shoal.swarm.search import minimise
from shoal.swarm.state import SwarmState, amend, learn, replaced


class HybridSwarm(eqx.Module):
    """Particles that search, the best of them helped by gradients.

    Args:
        n_particles, bounds: as for `ParticleSwarm`; 10 particles by default.
        gradient_steps: how many steps the best take after each move.
        top: how many of the best take them.
        learning_rate: of the steps; a hundredth of the box's width by default, dimension by
            dimension.
        optimizer: "adam", "sgd", "rmsprop", "lion", or an Optax transformation that does not scale
            by a learning rate, as for `shoal.fit`.
        gradient_cost: evaluations that a gradient counts as.
        settings: everything else `ParticleSwarm` takes.

    >>> swarm = HybridSwarm(bounds=(-5.0, 5.0))
    >>> found = swarm.minimise(lambda x: jnp.sum(x**2), jnp.zeros(3), evaluations=2000, key=0)
    >>> found.gradients, found.evaluations + 2 * found.gradients <= 2000
    (570, True)
    """

    swarm: ParticleSwarm
    gradient_steps: int = eqx.field(static=True)
    top: int = eqx.field(static=True)
    learning_rate: float | None = eqx.field(static=True)
    optimizer: Direction = eqx.field(static=True)
    gradient_cost: float = eqx.field(static=True)

    def __init__(
        self,
        n_particles: int = 10,
        bounds: Any = None,
        *,
        gradient_steps: int = 10,
        top: int = 3,
        learning_rate: float | None = None,
        optimizer: str | optax.GradientTransformation = "adam",
        gradient_cost: float = 2.0,
        **settings: Any,
    ):
        require_positive(gradient_steps=gradient_steps, top=top)
        if learning_rate is not None:
            require_above_zero(learning_rate=learning_rate)
        if not gradient_cost >= 0:
            raise ValueError(f"`gradient_cost` must be at least 0, got {gradient_cost!r}.")
        self.swarm = ParticleSwarm(n_particles, bounds, **settings)
        if top > n_particles:
            raise ValueError(f"`top` must be at most the {n_particles} particles, got {top}.")
        self.gradient_steps, self.top = gradient_steps, top
        self.learning_rate, self.optimizer = learning_rate, direction(optimizer)
        self.gradient_cost = float(gradient_cost)

    @property
    def n_particles(self) -> int:
        return self.swarm.n_particles

    def init(
        self, key: PRNGKeyArray | int, like: PyTree, start: PyTree | None = None
    ) -> SwarmState:
        """See `ParticleSwarm.init`."""
        return self.swarm.init(key, like, start)

    def ask(self, state: SwarmState) -> tuple[PyTree, SwarmState]:
        """See `ParticleSwarm.ask`."""
        return self.swarm.ask(state)

    def tell(self, state: SwarmState, positions: PyTree, fitness: Array) -> SwarmState:
        """See `ParticleSwarm.tell`; the gradient steps are `refine`, between this and `ask`."""
        return self.swarm.tell(state, positions, fitness)

    def refine(
        self, state: SwarmState, loss: Callable, *, args: tuple = (), evaluate: Any = "vmap"
    ) -> SwarmState:
        """The gradient steps of the currently best particles, after `tell`.

        Does nothing to a swarm that has just started anew: nobody has looked at it yet.
        """
        check_how(evaluate)
        return _refine(self, state, loss, args, "vmap" if evaluate == "auto" else evaluate)

    def minimise(self, loss: Callable, like: PyTree = None, **options) -> Result:
        """The lowest `loss(position, *args)` found, in one compiled program.

        Takes what `shoal.swarm.minimise` takes; `loss` must have gradients.
        """
        return minimise(self, loss, like, **options)

    def cost(self) -> int:
        """Evaluations in one move, gradients counted in."""
        steps = self.gradient_steps * (1 + self.gradient_cost) + 1
        return self.n_particles + int(-(-self.top * steps // 1))

    def advance(self, state: SwarmState, problem: Problem) -> SwarmState:
        """One move, what it found, and the gradient steps of the best."""
        state = on_mesh(move(self.swarm, state), problem.mesh)
        state = learn(state, state.position, problem.losses(state.position))
        state = on_mesh(descend(self, on_mesh(state, problem.mesh), problem), problem.mesh)
        return settle(self.swarm, state)

    def converged(self, state: SwarmState) -> Array:
        """See `ParticleSwarm.converged`."""
        return self.swarm.converged(state)

    @property
    def convergence(self):
        return self.swarm.convergence

    @property
    def restarts(self) -> bool:
        return self.swarm.restarts


@eqx.filter_jit
def _refine(hybrid: HybridSwarm, state: SwarmState, loss: Callable, args: tuple, how: Any):
    problem = Problem(loss, state.form, state.frozen, args, how)
    return jax.lax.cond(state.fresh, lambda s: s, lambda s: descend(hybrid, s, problem), state)


def descend(hybrid: HybridSwarm, state: SwarmState, problem: Problem) -> SwarmState:
    """The currently best particles go down the gradient; then the bests are updated."""
    _, places = jax.lax.top_k(-state.value, hybrid.top)
    x, values = _down(hybrid, state, state.position[places], state.value[places], problem)
    state = amend(state, places, x, values)
    steps = hybrid.top * hybrid.gradient_steps
    return replaced(
        state,
        evaluations=state.evaluations + steps + hybrid.top,
        gradients=state.gradients + steps,
    )


def _down(
    hybrid: HybridSwarm, state: SwarmState, x: Float[Array, "top dims"], values: Array, problem
) -> tuple[Array, Array]:
    """The best place on each particle's way down, and its loss."""
    transform = hybrid.optimizer.transform
    rate = 0.01 * (state.high - state.low)
    rate = rate if hybrid.learning_rate is None else jnp.full_like(rate, hybrid.learning_rate)

    def step(carry, _):
        x, memory, best, least = carry
        values, slopes = problem.slopes(x)
        best, least = _lower(x, values, best, least)
        ways, memory = jax.vmap(transform.update)(slopes, memory, x)
        moved = x - rate * jnp.asarray(ways)
        if hybrid.swarm.bounds is not None:
            moved = jnp.clip(moved, state.low, state.high)
        fine = jnp.isfinite(moved).all(axis=1, keepdims=True)
        return (jnp.where(fine, moved, x), memory, best, least), None

    carry = (x, jax.vmap(transform.init)(x), x, values)
    (x, _, best, least), _ = jax.lax.scan(step, carry, None, length=hybrid.gradient_steps)
    return _lower(x, problem.few(x), best, least)


def _lower(x: Array, values: Array, best: Array, least: Array) -> tuple[Array, Array]:
    """Row by row the better of two places; NaN never is."""
    better = values < least
    return jnp.where(better[:, None], x, best), jnp.where(better, values.astype(least.dtype), least)
