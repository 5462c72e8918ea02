"""What ties the members' losses together: a name of `shoal.equations.coupling`, and its weight."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from shoal.equations import coupling, losses
from shoal.population.objective import Loss


class Coupling(NamedTuple):
    """One of the objectives that see all members' answers."""

    name: str
    weight: float = 1.0

    def __call__(self, loss: Loss, outputs: PyTree, shares, y, weights) -> Float[Array, ""]:
        """The sum over the members that count, to be differentiated by `outputs`."""
        objective = coupling.OBJECTIVES[self.name]
        name = loss_name(loss, outputs)
        return objective(jnp, name, outputs, shares, y, weights, self.weight, jax.lax.stop_gradient)


def crowd_loss(loss: Loss, outputs: PyTree, shares, y, weights) -> Float[Array, ""]:
    """The loss of the crowd's own answer."""
    values = coupling.crowd_loss(jnp, loss_name(loss, outputs), outputs, shares, y)
    return losses.weighted_mean(jnp, values, weights)


def loss_name(loss: Loss, outputs: PyTree) -> str:
    """The loss by name, since a function of one member's answer says nothing of the crowd's."""
    if callable(loss):
        raise ValueError(
            "a regime that couples members needs a `loss` by name (one of "
            f"{', '.join(losses.ELEMENTWISE)}), got a function; train independently with it"
        )
    return losses.default_loss(outputs) if loss is None else loss
