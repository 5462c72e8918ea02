"""What an answer leans on: its derivative by every input and every elapsed time.

    S[t, f] = ∂a/∂x[t, f],   S[t] = ∂a/∂Δt[t]

a is one number of the answer, or the mean of all of them: of points themselves, of a `Normal` its
mean, of a `Categorical` the probability of a class. It is the local slope, exact for small changes:
an input that a saturated neuron no longer hears has none, however much it mattered to get there.

Of a collective, the chain rule leads through the scaling on both sides, so that everything is in
raw units: of the answer per unit of the feature, and per unit of time. That includes what an
elapsed time does to the ages of missing values, and what the last value of a target does to a
forecast that is a change from it. A value that is missing has no derivative: it is 0. The members'
weights are held.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from shoal.equations.outputs import Categorical, Normal
from shoal.neurons.inputs import as_sequences
from shoal.neurons.sequence import AbstractRNN


class Sensitivities(NamedTuple):
    """Derivatives of an answer, 0 where there is no observation.

    Attributes:
        features: (batch, time, features), by every feature of every observation.
        timespans: (batch, time), by the time that elapsed before each observation.
    """

    features: Float[Array, "*batch time features"]
    timespans: Float[Array, "*batch time"]


def sensitivities(
    model: Any,
    x: Any,
    timespans: Any = None,
    mask: Any = None,
    *,
    output: int | tuple[int, ...] | None = None,
) -> Sensitivities:
    """The gradient of an answer with respect to what it was given.

    Args:
        model: a member, which reads encoded x; a recurrent layer, whose answer is its last
            output; or a `Collective`, which reads raw x and answers with the weighted mean of its
            members (of one of them: `crowd.select([i])`).
        x: (batch, time, features) or (time, features), or a `Sequences`.
        timespans: the time that elapsed before each observation: a scalar, (time,), (batch,
            time), or either with a trailing 1; None means 1.
        mask: False where there is no observation.
        output: which number of the answer, such as `(horizon, target)`, a target, or a class; None
            means the mean of all of them, or the class that is most probable.

    Raises:
        ValueError: for shapes that do not fit, an `output` that the answer does not have, and
            members that JAX cannot differentiate.

    >>> from shoal import CTRNN
    >>> found = sensitivities(CTRNN(2, 3, key=0), jnp.ones((4, 5, 2)), 0.5)
    >>> found.features.shape, found.timespans.shape
    ((4, 5, 2), (4, 5))
    """
    mean, _ = of_members(model, x, timespans, mask, output=output)
    return mean


def of_members(
    model: Any, x: Any, timespans: Any = None, mask: Any = None, *, output: Any = None
) -> tuple[Sensitivities, Sensitivities]:
    """`sensitivities`, and the same of every member with the axis of members first."""
    if hasattr(x, "timespans"):
        x, timespans, mask = x.x, x.timespans, x.mask
    stacks, order, scaling = _stacks(model)
    asked, batched = _asked(x, timespans, mask, scaling)
    share = _shares(model, stacks, order, scaling, asked, output)
    each = _gradients(stacks, order, scaling, asked, share)
    mean = jax.tree.map(lambda parts: _weighted(model, parts, asked), each)
    if batched:
        return mean, each
    return jax.tree.map(lambda a: a[0], mean), jax.tree.map(lambda a: a[:, 0], each)


class _Asked(NamedTuple):
    """Batched arrays; `encoded` is what members read of x, None where they read x itself."""

    x: Array
    encoded: Array | None
    timespans: Array
    mask: Array | None


def _stacks(model: Any) -> tuple[list[Any], Array, Any]:
    """Stacked members, the order that theirs has in the collective, and its scaling.

    Anything else than a collective is one member without a scaling.
    """
    population = getattr(model, "population", None)
    if population is None:
        one = jax.tree.map(lambda a: a[None] if eqx.is_array(a) else a, model)
        return [one], jnp.zeros(1, int), None
    if not hasattr(population, "groups"):
        raise ValueError(
            "`model` must be a collective of JAX members, got members of other libraries, which "
            "JAX cannot differentiate; take their own gradients."
        )
    order = np.argsort(np.concatenate([np.array(group.indices) for group in population.groups]))
    return [group.members for group in population.groups], jnp.asarray(order), model.scaling


def _each(stacks: list[Any], order: Array, function: Callable[[Any], Any]) -> Any:
    """What a function of a member gives for all of them, stacked in the collective's order."""
    parts = []
    for stack in stacks:
        arrays, static = eqx.partition(stack, eqx.is_array)
        if not jax.tree.leaves(arrays):  # a plain function
            parts.append(jax.tree.map(lambda a: a[None], function(stack)))
            continue

        def one(arrays, static=static):
            return function(eqx.combine(arrays, static))

        parts.append(jax.lax.map(one, arrays))
    return jax.tree.map(lambda *a: jnp.concatenate(a)[order], *parts)


def _asked(x: Any, timespans: Any, mask: Any, scaling: Any) -> tuple[_Asked, bool]:
    wide = jnp.shape(x)[-1] if jnp.ndim(x) else 0
    if scaling is not None and wide != len(scaling.names):
        raise ValueError(
            f"`x` must be raw, with the {len(scaling.names)} features "
            f"{', '.join(scaling.names)} on its last axis; got {jnp.shape(x)}."
        )
    options = {"input_size": wide, "dtype": jnp.result_type(float), "signed_time": True}
    found = as_sequences(x, timespans, mask, **options)
    if scaling is None:
        return _Asked(found.x, None, found.timespans, found.mask), found.batched
    exact = np.asarray(x, float) if found.batched else np.asarray(x, float)[None]
    real = None if found.mask is None else np.asarray(found.mask)
    encoded = scaling.encode(np, exact, np.asarray(found.timespans, float), real)
    encoded = jnp.asarray(encoded, found.x.dtype)
    return _Asked(found.x, encoded, found.timespans, found.mask), found.batched


def _answer(member: Any, scaling: Any, asked: _Asked) -> Any:
    x, encoded, timespans, mask = asked
    if encoded is not None:
        # the value in double precision, as `predict` has it; the slope of the same formula
        slope = scaling.encode(jnp, x, timespans, mask)
        encoded = encoded + slope - jax.lax.stop_gradient(slope)
    read = x if encoded is None else encoded
    if isinstance(member, AbstractRNN):
        return member.last_output(read, timespans=timespans, mask=mask)
    answer = member(read, timespans, mask=mask)
    return answer if scaling is None else scaling.decode(jnp, answer, x, mask)


def _numbers(answer: Any) -> Float[Array, "batch outputs"]:
    if isinstance(answer, Categorical):
        answer = jax.nn.softmax(answer.logits, axis=-1)
    elif isinstance(answer, Normal):
        answer = answer.mean
    return answer.reshape(answer.shape[0], -1)


@eqx.filter_jit
def _answers(stacks: list, order: Array, scaling: Any, asked: _Asked) -> Array:
    return _each(stacks, order, lambda member: _numbers(_answer(member, scaling, asked)))


@eqx.filter_jit
def _gradients(
    stacks: list, order: Array, scaling: Any, asked: _Asked, share: Array
) -> Sensitivities:
    def of_one(member: Any) -> Sensitivities:
        def total(x, timespans):
            given = asked._replace(x=x, timespans=timespans)
            return jnp.sum(share * _numbers(_answer(member, scaling, given)))

        return Sensitivities(*jax.grad(total, (0, 1))(asked.x, asked.timespans))

    return _each(stacks, order, of_one)


def _shares(
    model: Any, stacks: list, order: Array, scaling: Any, asked: _Asked, output: Any
) -> Array:
    """(batch, outputs) how much each number of the answer counts in what is asked about."""

    def of_first(stack: Any) -> Any:
        first = jax.tree.map(lambda a: a[0] if eqx.is_array(a) else a, stack)
        return _answer(first, scaling, asked)

    answer = eqx.filter_eval_shape(of_first, stacks[0])
    shape = jax.tree.leaves(answer)[0].shape[1:]
    rows, many = asked.x.shape[0], math.prod(shape)
    if output is not None:
        place = jnp.full(rows, _place(output, shape))
    elif isinstance(answer, Categorical):
        each = _answers(stacks, order, scaling, asked)
        place = jnp.argmax(_weighted(model, each, asked), axis=-1)
    else:
        return jnp.full((rows, many), 1.0 / many, asked.x.dtype)
    return jax.nn.one_hot(place, many, dtype=asked.x.dtype)


def _place(output: Any, shape: tuple[int, ...]) -> int:
    """The number of an output in the flattened answer."""
    at = output if isinstance(output, tuple) else (output,)
    if not isinstance(output, tuple) and len(shape) > 1:
        shape = (math.prod(shape),)
    fits = len(at) == len(shape)
    if not fits or any(not -n <= i < n for i, n in zip(at, shape, strict=True)):
        raise ValueError(
            f"`output` must be a place in an answer of shape {shape}, got {output!r}; "
            "leave it out for the mean of all."
        )
    return int(np.ravel_multi_index([i % n for i, n in zip(at, shape, strict=True)], shape))


_ADDS = ("mixture", "linear", "sum")  # pools whose answer is a weighted sum


def _weighted(model: Any, each: Array, asked: _Asked) -> Array:
    """The members' arrays (members, batch, ...) averaged as the collective does."""
    if getattr(model, "population", None) is None:
        return each[0]
    rule = model.weighting
    pool = getattr(rule, "pool", None)
    if rule.kind == "confidence" or (pool is not None and pool.kind not in _ADDS):
        raise ValueError(
            f"what a crowd weighted by {rule.kind!r} leans on is no weighted mean of its members' "
            "slopes; ask a member, such as crowd.population.member(0)"
        )
    x, timespans = np.asarray(asked.x), np.asarray(asked.timespans)
    mask = None if asked.mask is None else np.asarray(asked.mask)
    weights = np.asarray(rule.weights(len(each), x, timespans, mask))
    ones = [1] * (each.ndim - weights.ndim)
    return jnp.sum(each * jnp.asarray(weights.reshape(*weights.shape, *ones), each.dtype), axis=0)
