"""What a member is trained to make small: the loss of one batch as a mean and its weight.

A loss is a name of `shoal.equations.losses`, or `loss(prediction, y, y_mask)`. It may return one
value per target, which is then averaged over the targets that exist; or one number for the batch,
which must leave out what `y_mask` marks False (masked targets and the rows that fill up the last
batch). By default the loss follows from the prediction: squared error for an array, the negative
log-likelihood for a `Normal`, cross-entropy for a `Categorical`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from shoal.equations import losses
from shoal.equations.outputs import Categorical
from shoal.population.own_losses import answer_with_losses
from shoal.population.samples import Samples

Loss = str | Callable[[Any, Any, Any], Any] | None


def check_loss(loss: Loss) -> None:
    """Refuses a name that is none."""
    if isinstance(loss, str) and loss not in losses.ELEMENTWISE:
        known = ", ".join(losses.ELEMENTWISE)
        raise ValueError(f"`loss` must be one of {known}, or a function, got {loss!r}")


def batch_loss(
    loss: Loss,
    member: PyTree,
    batch: Samples,
    weights: Float[Array, " batch"],
    key: PRNGKeyArray | None,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The mean loss of a batch and the total weight it is the mean over."""
    prediction = member(batch.x, batch.timespans, mask=batch.mask, key=key)
    return prediction_loss(loss, prediction, batch, weights)


class Told(NamedTuple):
    """A batch's mean loss, what the member's own modules add, and the weight of the batch."""

    loss: Array
    aux_loss: Array
    weight: Array


def training_loss(
    loss: Loss,
    member: PyTree,
    batch: Samples,
    weights: Float[Array, " batch"],
    key: PRNGKeyArray | None,
) -> tuple[Float[Array, ""], Told]:
    """What a member is trained to make small, and its parts; see `own_losses.py`.

    Rows that fill up the last batch weigh nothing in the loss, but are seen by the modules.
    """
    prediction, added = answer_with_losses(
        member, batch.x, batch.timespans, mask=batch.mask, key=key
    )
    value, weight = prediction_loss(loss, prediction, batch, weights)
    return value + added, Told(value, added, weight)


def prediction_loss(
    loss: Loss, prediction: PyTree, batch: Samples, weights: Float[Array, " batch"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The mean loss of a batch's prediction and the total weight it is the mean over."""
    check_prediction(prediction, batch.y)
    weights = target_weights(batch, weights)
    values = _values(loss, prediction, batch.y, weights)
    if values.ndim == 0:
        return values.astype(jnp.float32), weights.sum()
    values = values.astype(jnp.float32)
    if values.shape != weights.shape:
        weights = _expanded(_reduced(weights, values.ndim), values)
    return losses.weighted_mean(jnp, values, weights), weights.sum()


def check_prediction(prediction: PyTree, y: Array) -> None:
    """Refuses predictions that would be broadcast against their targets."""
    wanted = y.shape
    if isinstance(prediction, Categorical) and y.shape == prediction.logits.shape:
        shape = y.shape  # a number for each logit
    elif isinstance(prediction, Categorical):
        shape, wanted = prediction.logits.shape[:-1], y.shape
        if not jnp.issubdtype(y.dtype, jnp.integer):
            raise ValueError(f"members answer classes, so y must hold integers, got {y.dtype}")
    else:
        leaves = jax.tree.leaves(prediction)
        shape = np.broadcast_shapes(*(leaf.shape for leaf in leaves))
    if shape != wanted:
        raise ValueError(
            f"predictions must have the shape of y, {wanted}, got {shape}; "
            "reshape y, or give the members a head of that shape"
        )


def logit_shapes(population: Any, samples: Samples, rows: int) -> list[tuple[int, ...] | None]:
    """The shape of the logits of a member of each structure to some samples, computing nothing.

    None of one that answers something else than classes.
    """
    some = jax.tree.map(lambda array: array[:rows], samples)

    def answer(group: Any) -> Any:
        arrays, member = group.parts()
        first = member(jax.tree.map(lambda array: array[0], arrays))
        return first(jnp.asarray(some.x), some.timespans, mask=some.mask, key=None)

    found = [jax.eval_shape(partial(answer, group)) for group in population.groups]
    return [one.logits.shape if isinstance(one, Categorical) else None for one in found]


def target_weights(batch: Samples, weights: Array) -> Array:
    """How much every target of a batch counts, in the shape of y."""
    weights = _expanded(weights, batch.y)
    if batch.y_mask is None:
        return weights
    return weights * _expanded(batch.y_mask, batch.y)


def _values(loss: Loss, prediction: PyTree, y: Array, weights: Array) -> Array:
    if callable(loss):
        return jnp.asarray(loss(prediction, y, weights > 0))
    name = losses.default_loss(prediction) if loss is None else loss
    return losses.ELEMENTWISE[name](jnp, prediction, y)


def _reduced(weights: Array, ndim: int) -> Array:
    """Weights of a loss with fewer axes than y: the sum over the axes it has averaged."""
    return weights.sum(axis=tuple(range(ndim, weights.ndim))) if weights.ndim > ndim else weights


def _expanded(weights: Array, like: Array) -> Array:
    weights = jnp.asarray(weights, jnp.float32)
    weights = weights.reshape(weights.shape + (1,) * (like.ndim - weights.ndim))
    return jnp.broadcast_to(weights, like.shape)
