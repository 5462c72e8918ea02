"""What ties the members' losses together: a name of `shoal.equations.coupling`, and its weight.

Over any array namespace `xp`, so that members of every framework are tied alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from shoal.equations import coupling, losses


class Coupling(NamedTuple):
    """One of the objectives that see all members' answers."""

    name: str
    weight: float = 1.0

    def __call__(self, xp, stop: Callable, loss: Any, outputs: Any, shares, y, weights) -> Any:
        """The sum over the members that count, to be differentiated by `outputs`.

        Args:
            xp: the array namespace.
            stop: the function that no gradient flows through.
            loss: a name, or None for the one that fits the kind of answer.
            outputs: all members' answers, members first.
            shares: (members,), 1/n for those that count and 0 for others.
            y, weights: the truth and how much each number of it counts.
        """
        objective = coupling.OBJECTIVES[self.name]
        return objective(
            xp, loss_name(loss, outputs), outputs, shares, y, weights, self.weight, stop
        )


def crowd_loss(xp, loss: Any, outputs: Any, shares, y, weights) -> Any:
    """The loss of the crowd's own answer."""
    values = coupling.crowd_loss(xp, loss_name(loss, outputs), outputs, shares, y)
    return losses.weighted_mean(xp, values, weights)


def loss_name(loss: Any, outputs: Any) -> str:
    """The loss by name, since a function of one member's answer says nothing of the crowd's."""
    if callable(loss):
        raise ValueError(
            "a regime that couples members needs a `loss` by name (one of "
            f"{', '.join(losses.ELEMENTWISE)}), got a function; train independently with it"
        )
    return losses.default_loss(outputs) if loss is None else loss
