"""How votes over the members' answers are taken; the maths is in `shoal.equations.voting`.

    classes   y = Σ_i w_i v_i      v_i the probabilities (soft) or the one vote (hard) of member i
    numbers   y = Σ_i w_i μ_i      with the mixture's spread where the members are normal

w_i = 1/n, or by confidence w_i = c_i / Σ_j c_j, where c_i is

    classes   the member's greatest probability, or 1 − H(p_i)/ln(classes)
    normal    its precision, 1/σ_i² (the weights of least variance for independent errors)
    points    nothing they could know: give `confidences`
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from shoal.equations import voting
from shoal.equations.combine import moments
from shoal.equations.outputs import Categorical, Normal

METHODS = ("soft", "hard", "confidence")
POOLS = ("probabilities", "logits")
HELD = ("points", "probabilities", "logits")

Answer = Array | Normal | Categorical


class Vote(NamedTuple):
    """What a vote came to.

    Attributes:
        answer: as a member would give it: a `Categorical` of log-probabilities for classes, a
            `Normal` for normal members, an array for points.
        probabilities: (batch, classes), of a hard vote exactly the winner's one-hot; None for
            numbers.
        shares: (batch, classes), each class's share of the votes; None for numbers.
        weights: how much each member counted: (members, batch) for classes, with the answers'
            further axes for numbers; they sum to one over the members.
    """

    answer: Any
    probabilities: Array | None
    shares: Array | None
    weights: Array


def _one_of(name: str, found: str, allowed: tuple[str, ...]) -> None:
    if found not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(allowed)}; got {found!r}")


class Rules(eqx.Module):
    """How a vote is taken; every field is static. See `VotingLayer` for what they mean."""

    method: str = eqx.field(static=True, default="soft")
    arrays: str = eqx.field(static=True, default="points")
    pool: str = eqx.field(static=True, default="probabilities")
    confidence: str = eqx.field(static=True, default="probability")
    ties: str = eqx.field(static=True, default="probability")

    def __check_init__(self):
        _one_of("method", self.method, METHODS)
        _one_of("arrays", self.arrays, HELD)
        _one_of("pool", self.pool, POOLS)
        _one_of("confidence", self.confidence, voting.CONFIDENCES)
        _one_of("ties", self.ties, voting.TIES)
        if self.method == "hard" and self.pool == "logits":
            raise ValueError("`pool` says what a soft vote averages; a hard vote counts votes")


def vote(answers: Answer, rules: Rules = Rules(), confidences: Any = None) -> Vote:  # noqa: B008
    """The vote over the members' answers.

    Args:
        answers: stacked, members first: `Categorical` logits (members, batch, classes), a
            `Normal` or an array (members, batch, ...).
        rules: how the vote is taken.
        confidences: what each member counts, at least 0: (members,) or (members, batch); None:
            all alike, or with method "confidence" what the answers say of themselves.

    Raises:
        ValueError: hard voting on numbers; confidences that cannot be.

    >>> p = jnp.array([[[0.9, 0.1]], [[0.4, 0.6]], [[0.4, 0.6]]])
    >>> answers = Categorical(jnp.log(p))
    >>> np.asarray(vote(answers).probabilities, float).round(2).tolist()
    [[0.57, 0.43]]
    >>> vote(answers, Rules("hard")).probabilities.tolist()
    [[0.0, 1.0]]
    """
    shape = jax.tree.leaves(answers)[0].shape
    if confidences is not None:
        confidences = _checked(confidences, shape[:2])
    if isinstance(answers, Categorical) or (
        rules.arrays != "points" and not isinstance(answers, Normal)
    ):
        return _of_classes(answers, rules, confidences)
    return _of_numbers(answers, rules, confidences)


def _of_classes(answers: Any, rules: Rules, confidences: Array | None) -> Vote:
    logits, probabilities = _classes(answers, rules.arrays)
    if confidences is None and rules.method == "confidence":
        confidences = voting.confidence(jnp, probabilities, rules.confidence)
    if rules.pool == "logits":
        ballot = voting.geometric_vote(jnp, logits, confidences)
    else:
        ballot = voting.soft_vote(jnp, probabilities, confidences)
    answer = floored_log(ballot.probabilities)
    if rules.method == "hard":
        ballot = voting.hard_vote(jnp, probabilities, confidences, rules.ties)
        answer = voting.straight_through(jnp, floored_log(ballot.probabilities), answer)
    return Vote(Categorical(answer), *ballot)


def _classes(answers: Any, arrays: str) -> tuple[Array, Array]:
    """Logits and probabilities, (members, batch, classes)."""
    if not isinstance(answers, Categorical) and arrays == "probabilities":
        answers = jnp.asarray(answers)
        return floored_log(answers), answers
    logits = answers.logits if isinstance(answers, Categorical) else jnp.asarray(answers)
    return logits, jax.nn.softmax(logits)


def floored_log(probabilities: Array) -> Array:
    """Finite everywhere, so that a loss and its gradient are."""
    least = jnp.finfo(probabilities.dtype).tiny
    return jnp.log(jnp.where(probabilities < least, least, probabilities))  # NaN stays NaN


def _of_numbers(answers: Any, rules: Rules, confidences: Array | None) -> Vote:
    if rules.method == "hard":
        raise ValueError(
            "hard voting needs classes, but the members answer numbers (regression); use method "
            '"soft" or "confidence", or where plain arrays hold classes say arrays="probabilities" '
            'or arrays="logits"'
        )
    normal = isinstance(answers, Normal)
    means = answers.mean if normal else jnp.asarray(answers)
    if confidences is None and rules.method == "confidence":
        if not normal:
            raise ValueError(
                "confidence voting needs members that know how sure they are, but these answer "
                "plain numbers; give them a normal likelihood, or give `confidences`"
            )
        confidences = answers.std**-2
    if confidences is None:
        confidences = jnp.ones_like(means[:, :, *(0,) * (means.ndim - 2)])
    weights = voting.weights_of(jnp, confidences)
    found = moments(weights, means, answers.std if normal else None)
    answer = Normal(found.mean, jnp.sqrt(found.total)) if normal else found.mean
    return Vote(answer, None, None, weights)


def _checked(confidences: Any, expected: tuple[int, ...]) -> Array:
    """Confidences that can be; values are looked at wherever they are known."""
    confidences = jnp.asarray(confidences)
    if confidences.shape not in (expected, expected[:1]):
        raise ValueError(
            f"`confidences` must be (members,) = {expected[:1]} or (members, batch) = {expected}, "
            f"got {confidences.shape}"
        )
    confidences = confidences.astype(jnp.promote_types(confidences.dtype, jnp.float32))
    if not isinstance(confidences, Tracer):
        values = np.asarray(confidences)
        if not (np.isfinite(values).all() and (values >= 0).all() and values.any()):
            raise ValueError(
                "`confidences` must be finite, at least 0 and not all 0; got values from "
                f"{values.min()} to {values.max()}"
            )
    return confidences
