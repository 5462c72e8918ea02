"""Relevance: named experts, of which a router asks the k that matter, and what each one added.

    s = router(x),    K = the k greatest of s
    r_i = exp(s_i) / Σ_{j∈K} exp(s_j)   for i in K, else 0       relevance: Σ_i r_i = 1
    c_i = r_i f_i(x)                                             contribution
    y   = c_1 + c_2 + … + c_n                                    exactly what is returned

f_i are numbers, or for classes probabilities, never logits, so that a contribution is a share of
the answer's probability: "of the 0.93 for a three, 0.61 came from the expert for the upper half".

With k = 1 the relevance is 1, which has no slope; its gradient is then that of the softmax over all
experts (straight through, Bengio et al. 2013), so that the router learns. Every expert is computed,
also those that count nothing, so that experts can be any modules; where computing only the chosen
ones matters, use `MixtureOfExperts`.

Sources: Jacobs, Jordan, Nowlan, Hinton, "Adaptive Mixtures of Local Experts" (1991); gates
renormalised over the k greatest: Shazeer et al. (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from shoal.collective.stacked import as_population
from shoal.collective.voting_rules import Answer, floored_log
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.voting import straight_through
from shoal.neurons.initialise import as_key
from shoal.neurons.model import Head
from shoal.population import Population


class Scored(NamedTuple):
    """An answer and what it is made of.

    Attributes:
        answer: as a member would give it: `Categorical` of log-probabilities, `Normal` or array.
        output: (batch, ...), the probabilities, mean or numbers: the sum of the contributions.
        contributions: (experts, batch, ...), zero for experts that were not chosen.
        relevance: (experts, batch), at least 0, summing to one over the experts.
        logits: (experts, batch), the router's scores, in float32 or wider.
    """

    answer: Any
    output: Array
    contributions: Array
    relevance: Array
    logits: Array


def top_k_relevance(logits: Float[Array, "batch experts"], top_k: int) -> Array:
    """The softmax over each row's `top_k` greatest logits, exactly 0 elsewhere.

    Of equal logits the lower number is chosen.

    >>> top_k_relevance(jnp.array([[1.0, 3.0, 3.0, 0.0]]), 2)
    Array([[0. , 0.5, 0.5, 0. ]], dtype=float32)
    """
    _, chosen = jax.lax.top_k(logits, top_k)
    among = jnp.zeros(logits.shape, bool)
    among = jnp.put_along_axis(among, chosen, True, axis=-1, inplace=False)
    if top_k == 1:
        return straight_through(jnp, among.astype(logits.dtype), jax.nn.softmax(logits))
    return jax.nn.softmax(logits, where=among)


def add_in_order(contributions: Float[Array, "experts ..."]) -> Array:
    """c_1 + c_2 + …, one after the other, of the very numbers that are returned.

    A loop, because what is summed outside of one is multiplied and added in one rounding where the
    processor can, and that is not the sum of the contributions.

    >>> add_in_order(jnp.array([[1.0], [2.0], [0.5]])).tolist()
    [3.5]
    """
    nothing = jnp.zeros_like(contributions[0])
    return jax.lax.scan(lambda total, part: (total + part, None), nothing, contributions)[0]


class RelevanceScorer(eqx.Module):
    """Routed experts with names, whose contributions add up to the answer; itself a member.

    The equations are at the top of this file.

    Args:
        experts: a `Population` or a list of modules, each `expert(x, timespans, *, mask, key)`.
        in_size: numbers in one row of x, which a linear router sees; or give `router`.
        top_k: how many experts are asked for a row.
        names: one per expert, all different; "expert 0", "expert 1", … by default.
        router: a module `router(x, timespans, *, mask, key)` that answers (batch, experts) scores.
        key: a JAX key or an int seed, for the linear router; the experts are as they are.

    Raises:
        ValueError: `top_k` is not between 1 and the number of experts; names do not fit; there is
            neither `in_size` with a `key` nor a `router`.

    >>> from shoal.collective.stacked import make_members
    >>> class Linear(eqx.Module):
    ...     map: eqx.nn.Linear
    ...
    ...     def __init__(self, key):
    ...         self.map = eqx.nn.Linear(4, 1, key=key)
    ...
    ...     def __call__(self, x, timespans=None, *, mask=None, key=None):
    ...         return jax.vmap(self.map)(x)
    >>> names = ["north", "east", "south"]
    >>> scorer = RelevanceScorer(make_members(Linear, 3, key=0), 4, names=names, key=1)
    >>> scored = scorer.score(jnp.ones((8, 4)))
    >>> scored.contributions.shape, scored.relevance.sum(0).tolist() == [1.0] * 8
    ((3, 8, 1), True)
    >>> list(scorer.explain(jnp.ones((1, 4))).columns)
    ['row', 'expert', 'relevance', 'output', 'contribution']
    """

    experts: Population
    router: Any
    names: tuple[str, ...] = eqx.field(static=True)
    top_k: int = eqx.field(static=True)

    def __init__(
        self,
        experts: Any,
        in_size: int | None = None,
        *,
        top_k: int = 2,
        names: Sequence[str] | None = None,
        router: Any = None,
        key: PRNGKeyArray | int | None = None,
    ):
        self.experts = as_population(experts, "experts")
        count = self.experts.n_models
        if not 1 <= top_k <= count:
            raise ValueError(
                f"`top_k` must be from 1 to the number of experts, {count}; got {top_k}"
            )
        self.top_k, self.names = int(top_k), _names(names, count)
        if router is None:
            if in_size is None or key is None:
                raise ValueError("give `in_size` and `key` for a linear router, or a `router`")
            router = _LinearRouter(Head(in_size, (count,), key=as_key(key)))
        self.router = router

    def __call__(
        self,
        x: Array,
        timespans: Array | None = None,
        *,
        mask: Array | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Answer:
        """The answer: `Categorical`, `Normal` or array, as the experts'."""
        return self.score(x, timespans, mask=mask, key=key).answer

    @eqx.filter_jit
    def score(self, x, timespans=None, *, mask=None, key=None) -> Scored:
        """The answer and its parts."""
        keys = (None, None) if key is None else jax.random.split(key)
        logits = self.router(x, timespans, mask=mask, key=keys[0])
        if logits.shape != (len(x), len(self.names)):
            raise ValueError(
                f"`router` must answer (batch, experts) = {(len(x), len(self.names))}, "
                f"got {logits.shape}"
            )
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        relevance = top_k_relevance(logits, self.top_k).T
        return combine(self.experts(x, timespans, mask=mask, key=keys[1]), relevance, logits.T)

    def explain(self, x, timespans=None, *, mask=None, output: int | None = None):
        """Who said what: a table, a line for every chosen expert of every row of x.

        Args:
            x, timespans, mask: as for a call.
            output: which number of an answer the contributions are to, counted over its flattened
                shape; None: the most probable class, or the only number.

        Returns:
            A `pandas.DataFrame` with row, expert, relevance, output, contribution; the most
            relevant expert of a row first. A row's contributions add up to that output.
        """
        from shoal.collective.relevance_tables import explanation

        return explanation(self.score(x, timespans, mask=mask), self.names, output)

    def profile(self, x, timespans=None, *, mask=None):
        """What each expert is for: a table, a line for every expert, over all rows of x.

        Returns:
            A `pandas.DataFrame` with expert, chosen (share of the rows), relevance (mean), share
            (of all absolute contributions), and for classes `speaks_for`, the class it adds most
            to, and `weight`, the share of its own contributions that goes there.
        """
        from shoal.collective.relevance_tables import profile

        return profile(self.score(x, timespans, mask=mask), self.names)


def combine(answers: Answer, relevance: Array, logits: Array) -> Scored:
    """The experts' answers, experts first, weighted by relevance (experts, batch)."""
    if isinstance(answers, Categorical):
        output, parts = _sum(jax.nn.softmax(answers.logits), relevance)
        return Scored(Categorical(floored_log(output)), output, parts, relevance, logits)
    if isinstance(answers, Normal):
        output, parts = _sum(answers.mean, relevance)
        second, _ = _sum(answers.std**2 + (answers.mean - output) ** 2, relevance)
        return Scored(Normal(output, jnp.sqrt(second)), output, parts, relevance, logits)
    output, parts = _sum(answers, relevance)
    return Scored(output, output, parts, relevance, logits)


def _sum(values: Array, relevance: Array) -> tuple[Array, Array]:
    relevance = relevance.astype(values.dtype).reshape(
        *relevance.shape, *(1,) * (values.ndim - relevance.ndim)
    )
    parts = relevance * values
    return add_in_order(parts), parts


def _names(names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"expert {i}" for i in range(count))
    names = tuple(str(name) for name in names)
    if len(names) != count or len(set(names)) != count:
        raise ValueError(
            f"`names` must be {count} different names, one per expert; got {list(names)}"
        )
    return names


class _LinearRouter(eqx.Module):
    """Scores from all numbers of a row; a masked step's are taken as 0."""

    head: Head

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        if mask is not None:
            x = jnp.where(mask[..., None], x, 0)
        expected = self.head.params["weight"].shape[-1]
        flat = x.reshape(len(x), -1)
        if flat.shape[-1] != expected:
            raise ValueError(
                f"`in_size` must be the numbers in one row of x, {flat.shape[-1]} for x of shape "
                f"{x.shape}; got {expected}"
            )
        return self.head(flat.astype(jnp.promote_types(flat.dtype, jnp.float32)))
