"""Losses that a member brings itself: what its modules want besides a good answer.

A mixture of experts wants balanced experts, whatever it is asked. A member with such wishes has

    member.with_losses(x, timespans=None, *, mask=None, key=None) -> (prediction, loss)

beside its call: the same prediction, and one number, weighted already, which is added to what it is
trained on. A module that holds members passes theirs on. Validation asks the plain call.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree


def answer_with_losses(
    member: Any, x: Array, timespans: Any = None, *, mask: Any = None, key: Any = None
) -> tuple[PyTree, Float[Array, ""]]:
    """A member's prediction and what it adds to its loss; 0 of one without wishes.

    Raises:
        ValueError: what it adds is not one number.

    >>> prediction, loss = answer_with_losses(lambda x, timespans, mask, key: x, jnp.ones((2, 1)))
    >>> prediction.shape, float(loss)
    ((2, 1), 0.0)
    """
    asked = getattr(member, "with_losses", None)
    if asked is None:
        return member(x, timespans, mask=mask, key=key), jnp.zeros(())
    prediction, loss = asked(x, timespans, mask=mask, key=key)
    loss = jnp.asarray(loss, jnp.float32)
    if loss.shape != ():
        raise ValueError(
            "`with_losses` of a member must return (prediction, loss) with one number for the "
            f"loss, got the shape {loss.shape}; weigh and add up what it is made of"
        )
    return prediction, loss
