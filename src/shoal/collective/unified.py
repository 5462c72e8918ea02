"""Unified: specialists and the weighting between them, trained together.

    y = Σ_i w_i(x) f_i(x)

    uniform      w_i = 1/n                        the averaging `Collective`
    learned      w = softmax(θ)                   one number for each specialist
    confidence   w_i(x) = c_i(x) / Σ_j c_j(x)     the confidence vote of `VotingLayer`
    attention    w(x) = softmax(s(x))             s from a router: attention over the specialists

Weights are all that differs. Whatever they are, `shoal.equations.pooling` makes one answer of them,
as it does for a `Collective`, so that equal weights are the average, and weights of 0 and 1 the one
specialist, to the last bit. θ and the router begin with equal weights.

Sources: Jacobs, Jordan, Nowlan, Hinton, "Adaptive Mixtures of Local Experts" (1991); attention:
Vaswani et al., "Attention is all you need" (2017).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from shoal.collective.moe.losses import squared_variation
from shoal.collective.stacked import as_population
from shoal.collective.unified_router import Attention, scores_of
from shoal.collective.voting_rules import Answer, Rules, floored_log, vote
from shoal.equations.combine import Moments, entropy, softmax
from shoal.equations.namespaces import alike, namespace
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.pooling import MIXTURE, pooled
from shoal.neurons.initialise import as_key
from shoal.population import Population
from shoal.weighting import Uniform

Kind = Literal["uniform", "learned", "confidence", "attention"]


class Opinion(NamedTuple):
    """What a unified collective says, and how it came to say it.

    Attributes:
        answer: as a member would give it: `Categorical` of log-probabilities, `Normal` or array.
        moments: (mean, aleatoric, epistemic); for classes the mean are the probabilities.
        answers: every specialist's own, specialists first.
        weights: (specialists,) or (specialists, batch, ...), summing to one over the specialists.
        shares: (specialists,), each one's mean weight.
        entropy: of the weights, its mean as a share of ln n: 1 where all count alike, 0 where one
            alone does.
    """

    answer: Any
    moments: Moments
    answers: Any
    weights: Array
    shares: Array
    entropy: Array


class UnifiedCollective(eqx.Module):
    """Specialists and their weighting as one layer; itself a member.

    The equations are at the top of this file.

    Args:
        members: the specialists, a `Population` or a list of modules, each
            `member(x, timespans, *, mask, key)`.
        weighting: "uniform" (default), "learned", "confidence" or "attention".
        in_size: numbers in one row of x, which attention sees; or give `router`.
        width: of attention's queries and keys.
        router: for attention, a module `router(x, timespans, *, mask, key)` that answers
            (batch, specialists) scores.
        confidence: for classes, "probability" or "entropy", as of `VotingLayer`.
        balance: the price of uneven shares, times their squared variation; what is trained on, in
            `with_losses`, and by `shoal.fit`.
        key: a JAX key or an int seed, for attention; the specialists are as they are.

    Raises:
        ValueError: for an unknown weighting; attention without `in_size` and `key`, or `router`; a
            `router` without attention.

    >>> from shoal.collective.stacked import make_members
    >>> class Linear(eqx.Module):
    ...     map: eqx.nn.Linear
    ...
    ...     def __init__(self, key):
    ...         self.map = eqx.nn.Linear(4, 2, key=key)
    ...
    ...     def __call__(self, x, timespans=None, *, mask=None, key=None):
    ...         return jax.vmap(self.map)(x)
    >>> layer = UnifiedCollective(make_members(Linear, 3, key=0), "attention", in_size=4, key=1)
    >>> found = layer.ask(jnp.ones((8, 4)))
    >>> found.answer.shape, found.weights.shape, found.shares.shape
    ((8, 2), (3, 8), (3,))
    """

    members: Population
    logits: Float[Array, " members"] | None
    router: Any
    weighting: str = eqx.field(static=True)
    confidence: str = eqx.field(static=True)
    balance: float = eqx.field(static=True)

    def __init__(
        self,
        members: Any,
        weighting: Kind = "uniform",
        *,
        in_size: int | None = None,
        width: int = 16,
        router: Any = None,
        confidence: Literal["probability", "entropy"] = "probability",
        balance: float = 0.0,
        key: PRNGKeyArray | int | None = None,
    ):
        self.members = as_population(members)
        if weighting not in get_args(Kind):
            raise ValueError(
                f"`weighting` must be one of {', '.join(get_args(Kind))}; got {weighting!r}"
            )
        if not balance >= 0:
            raise ValueError(f"`balance` must be at least 0, got {balance}")
        if router is not None and weighting != "attention":
            raise ValueError(f"a `router` is for weighting 'attention', not {weighting!r}")
        count = self.members.n_models
        if weighting == "attention" and router is None:
            if in_size is None or key is None:
                raise ValueError("attention needs `in_size` and `key`, or a `router`")
            router = Attention(in_size, count, width, key=as_key(key))
        self.logits = jnp.zeros(count) if weighting == "learned" else None
        self.router, self.weighting = router, weighting
        self.confidence, self.balance = Rules(confidence=confidence).confidence, float(balance)

    def __call__(
        self,
        x: Array,
        timespans: Array | None = None,
        *,
        mask: Array | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Answer:
        """The combined answer: an array, `Normal` or `Categorical`, as the specialists'."""
        return self.ask(x, timespans, mask=mask, key=key).answer

    def ask(self, x, timespans=None, *, mask=None, key=None) -> Opinion:
        """The answer and how it came about."""
        return self._asked(x, timespans, mask, key)[0]

    def with_losses(self, x, timespans=None, *, mask=None, key=None):
        """The answer, and one number to be added to the loss: the price of uneven shares, and what
        the specialists' own modules add."""
        found, added = self._asked(x, timespans, mask, key, losses=True)
        return found.answer, added + self.balance * squared_variation(found.shares)

    def _asked(self, x, timespans, mask, key, losses: bool = False) -> tuple[Opinion, Array]:
        own, other = (None, None) if key is None else jax.random.split(key)
        added = jnp.zeros(())
        if losses:
            answers, each = self.members.with_losses(x, timespans, mask=mask, key=own)
            added = each.sum()
        else:
            answers = self.members(x, timespans, mask=mask, key=own)
        if self.router is not None:
            count = self.members.n_models
            scores = scores_of(self.router, count, x, timespans, mask=mask, key=other)
            weights = softmax(jnp, scores).T
        else:
            weights = self._weights(answers)
        return united(answers, weights), added

    def _weights(self, answers: Answer) -> Array:
        first = answers[0] if isinstance(answers, Normal | Categorical) else answers
        if self.logits is not None:
            return softmax(jnp, self.logits)
        if self.weighting == "confidence":
            return vote(answers, Rules("confidence", confidence=self.confidence)).weights
        return alike(Uniform().weights(self.members.n_models), first)


def united(answers: Answer, weights: Any) -> Opinion:
    """One answer of all, by weights, in the framework that the answers are arrays of.

    Args:
        answers: stacked, specialists first: `Categorical`, `Normal` or array.
        weights: (specialists,) or (specialists, batch, ...), summing to one over the specialists.

    >>> import numpy as np
    >>> found = united(np.array([[[1.0]], [[5.0]]]), np.array([0.75, 0.25]))
    >>> found.answer.tolist(), found.shares.tolist()
    ([[2.0]], [0.75, 0.25])
    """
    first = answers[0] if isinstance(answers, Normal | Categorical) else answers
    xp = namespace(first)
    moments = pooled(xp, MIXTURE, weights, answers)
    answer = moments.mean
    if isinstance(answers, Categorical):
        answer = Categorical(floored_log(moments.mean))
    elif isinstance(answers, Normal):
        answer = Normal(moments.mean, xp.sqrt(moments.total))
    flat = weights.reshape(weights.shape[0], -1)
    most = xp.log(xp.asarray(float(max(len(flat), 2))))
    return Opinion(
        answer, moments, answers, weights, flat.mean(1), entropy(xp, flat.T).mean() / most
    )
