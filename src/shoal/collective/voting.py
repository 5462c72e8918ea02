"""A layer of members that vote: combined without anything to learn but the members themselves."""

from __future__ import annotations

from typing import Any, Literal

import equinox as eqx
from jaxtyping import Array, PRNGKeyArray

from shoal.collective.stacked import as_population
from shoal.collective.voting_rules import Answer, Rules, Vote, vote
from shoal.population import Population


class VotingLayer(eqx.Module):
    """Members that vote; itself a member, so it trains, stacks and nests like any other.

        y = Σ_i w_i v_i,    w_i = c_i / Σ_j c_j   (`shoal.collective.voting_rules`)

    A hard vote's gradient is straight through: that of the soft vote with the same weights.
    Nothing of the layer itself is learned; its members are.

    Args:
        members: a `Population` or a list of modules, each `member(x, timespans, *, mask, key)`;
            None for a layer that only counts: `layer.vote(answers)`.
        method: "soft" (default) averages, "hard" counts one vote per member, "confidence" is
            soft with each member weighted by its own confidence. With equal confidences it *is*
            the soft vote, to the last bit: both are one code.
        arrays: what members that answer plain arrays mean by them: "points" (default: numbers,
            as everywhere in Shoal), "probabilities" or "logits" of the classes on the last axis.
        pool: what soft and confidence votes over classes average: "probabilities" (default), or
            "logits", the normalised geometric mean, in which one member can veto a class.
        confidence: for classes, "probability" max_k p_k (default) or "entropy"
            1 − H(p)/ln(classes); of normal members it is 1/σ².
        ties: between classes with equally many hard votes: "probability" (default) takes the one
            more probable in the soft vote, then the lowest number; "lowest" the lowest number, as
            scikit-learn does.

    Raises:
        ValueError: for settings that do not exist, and when hard voting is asked of numbers.

    Sources: Dietterich 2000; Bengio et al. 2013 (straight-through).

    >>> import jax, jax.numpy as jnp
    >>> from shoal.collective.stacked import make_members
    >>> from shoal.equations.outputs import Categorical
    >>> class Linear(eqx.Module):
    ...     map: eqx.nn.Linear
    ...
    ...     def __init__(self, key):
    ...         self.map = eqx.nn.Linear(4, 3, key=key)
    ...
    ...     def __call__(self, x, timespans=None, *, mask=None, key=None):
    ...         return Categorical(jax.vmap(self.map)(x))
    >>> layer = VotingLayer(make_members(Linear, 5, key=0), "hard")
    >>> layer(jnp.ones((8, 4))).logits.shape, layer.ask(jnp.ones((8, 4))).shares.shape
    ((8, 3), (8, 3))
    """

    members: Population | None
    rules: Rules

    def __init__(
        self,
        members: Any = None,
        method: Literal["soft", "hard", "confidence"] = "soft",
        *,
        arrays: Literal["points", "probabilities", "logits"] = "points",
        pool: Literal["probabilities", "logits"] = "probabilities",
        confidence: Literal["probability", "entropy"] = "probability",
        ties: Literal["probability", "lowest"] = "probability",
    ):
        self.members = None if members is None else as_population(members)
        self.rules = Rules(method, arrays, pool, confidence, ties)

    def __call__(
        self,
        x: Array,
        timespans: Array | None = None,
        *,
        mask: Array | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Answer:
        """The members' combined answer: `Categorical`, `Normal` or array, without `members`."""
        return self.ask(x, timespans, mask=mask, key=key).answer

    def with_losses(self, x, timespans=None, *, mask=None, key=None):
        """The answer, and what the members' own modules add to the loss."""
        if self.members is None:
            raise ValueError("this VotingLayer has no members to ask; use `layer.vote(answers)`")
        answers, losses = self.members.with_losses(x, timespans, mask=mask, key=key)
        return self.vote(answers).answer, losses.sum()

    def ask(self, x, timespans=None, *, mask=None, key=None, confidences=None) -> Vote:
        """The whole vote; `confidences`, (members,) or (members, batch), overrule the layer's."""
        if self.members is None:
            raise ValueError("this VotingLayer has no members to ask; use `layer.vote(answers)`")
        return self.vote(self.members(x, timespans, mask=mask, key=key), confidences)

    def vote(self, answers: Answer, confidences: Any = None) -> Vote:
        """The vote over answers that are there already, members first. See `vote`."""
        return vote(answers, self.rules, confidences)
