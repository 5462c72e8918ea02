"""What a swarm remembers, and how it learns from what its particles found.

The best of all time (`found_*`) is kept apart from the particles' own bests, so that it survives
restarts; a loss that is NaN counts as infinite, so that it never wins.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from shoal.swarm.space import Form


class SwarmState(eqx.Module):
    """A swarm between two moves; a pytree of arrays, to be carried, saved and mapped over.

    Attributes:
        position, velocity: (particles, dims).
        value: (particles,) the losses last told, ∞ for NaN.
        best_position, best_value: what each particle found since the last start.
        found_position, found_value: the best of all, never lost.
        low, high: (dims,) walls; without bounds, the box the swarm started in.
        table: who listens to whom, see `neighbourhoods`.
        spread: C of `axes.py`, where axes are learned.
        fresh: the particles have not been evaluated where they are.
        stalled: moves since the swarm's own best last improved.
        iteration, evaluations, gradients, restarts: counts.
        key: what all random numbers are made from, with `iteration`.
        frozen, form: what turns rows into pytrees.
    """

    position: Float[Array, "particles dims"]
    velocity: Float[Array, "particles dims"]
    value: Float[Array, " particles"]
    best_position: Float[Array, "particles dims"]
    best_value: Float[Array, " particles"]
    found_position: Float[Array, " dims"]
    found_value: Float[Array, ""]
    low: Float[Array, " dims"]
    high: Float[Array, " dims"]
    table: Int[Array, "rows informants"]
    spread: Float[Array, "dims dims"] | None
    fresh: Bool[Array, ""]
    stalled: Int[Array, ""]
    iteration: Int[Array, ""]
    evaluations: Int[Array, ""]
    gradients: Int[Array, ""]
    restarts: Int[Array, ""]
    key: PRNGKeyArray
    frozen: PyTree
    form: Form = eqx.field(static=True)

    @property
    def best(self) -> PyTree:
        """The best position found, as a pytree like the one the search began with."""
        return self.form.build(self.found_position, self.frozen)

    @property
    def positions(self) -> PyTree:
        """Where the particles are; every searched leaf has the leading axis particles."""
        return self.form.build(self.position, self.frozen)


PER_PARTICLE = ("position", "velocity", "value", "best_position", "best_value")


def replaced(state: SwarmState, **changes) -> SwarmState:
    """The state with some of its fields changed."""
    names = tuple(changes)
    return eqx.tree_at(lambda s: [getattr(s, n) for n in names], state, [changes[n] for n in names])


def no_nan(values: Float[Array, " n"], dtype) -> Float[Array, " n"]:
    """Losses in the search's dtype, ∞ where they are NaN."""
    values = values.astype(dtype)
    return jnp.where(jnp.isnan(values), jnp.inf, values)


def learn(
    state: SwarmState, x: Float[Array, "particles dims"], values: Float[Array, " particles"]
) -> SwarmState:
    """Enters the losses of all particles at `x` into the bests."""
    values = no_nan(values, x.dtype)
    better = values < state.best_value
    best_value = jnp.where(better, values, state.best_value)
    improved = best_value.min() < state.best_value.min()
    winner = jnp.argmin(values)
    record = values[winner] < state.found_value
    return replaced(
        state,
        position=x,
        value=values,
        best_position=jnp.where(better[:, None], x, state.best_position),
        best_value=best_value,
        found_position=jnp.where(record, x[winner], state.found_position),
        found_value=jnp.where(record, values[winner], state.found_value),
        stalled=jnp.where(improved, 0, state.stalled + 1),
        fresh=jnp.zeros_like(state.fresh),
        iteration=state.iteration + 1,
        evaluations=state.evaluations + len(values),
    )


def amend(
    state: SwarmState,
    places: Int[Array, " some"],
    x: Float[Array, "some dims"],
    values: Float[Array, " some"],
) -> SwarmState:
    """Moves some particles to where something else than flight brought them, and learns from it."""
    values = no_nan(values, x.dtype)
    better = values < state.best_value[places]
    own = jnp.where(better[:, None], x, state.best_position[places])
    least = jnp.where(better, values, state.best_value[places])
    winner = jnp.argmin(values)
    record = values[winner] < state.found_value
    best_value = state.best_value.at[places].set(least)
    improved = best_value.min() < state.best_value.min()
    return replaced(
        state,
        position=state.position.at[places].set(x),
        value=state.value.at[places].set(values),
        best_position=state.best_position.at[places].set(own),
        best_value=best_value,
        found_position=jnp.where(record, x[winner], state.found_position),
        found_value=jnp.where(record, values[winner], state.found_value),
        stalled=jnp.where(improved, 0, state.stalled),
    )


def scatter(key: PRNGKeyArray, n: int, low: Array, high: Array) -> Float[Array, "particles dims"]:
    """`n` places drawn uniformly from the box."""
    u = jax.random.uniform(key, (n, low.shape[0]), low.dtype)
    return low + u * (high - low)
