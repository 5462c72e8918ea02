"""Consensus: agents answer, exchange messages, and change their minds before they answer together.

    h_i⁰   = tanh(W_e a_i + b_e)                    from agent i's own answer a_i
    m_i    = W_m h_i                                 what it tells the others
    r_i    = 1/(n−1) Σ_{j≠i} m_j                     what it hears: never itself; alone: 0
    h_i    ← GRU(r_i, h_i)                           up to 5 times
    y      = the soft vote of head(h_1) … head(h_n)

All agents share W_e, W_m, the GRU and the head, so that their order means nothing and a network
trained with n agents runs with any number. When they stop, and what agreement means, is said in
`consensus_rounds.py`.

Sources: learned messages from the mean of the others, Sukhbaatar, Szlam, Fergus, "Learning
Multiagent Communication with Backpropagation" (2016); the GRU update of message passing, Gilmer et
al., "Neural Message Passing for Quantum Chemistry" (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from shoal.collective.consensus_rounds import discuss, mean_of_others
from shoal.collective.stacked import as_population
from shoal.collective.voting_rules import Answer, vote
from shoal.equations import gru
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.parameters import Constant, Parameter, Weights
from shoal.neurons.initialise import as_dtype, as_key, initialise
from shoal.neurons.model import Head
from shoal.population import Population

TABLE = (
    Parameter("encoder_weight", ("units", "answer"), Weights(), symbol="W_e"),
    Parameter("encoder_bias", ("units",), Constant(0.0), symbol="b_e"),
    Parameter("message_weight", ("inputs", "units"), Weights(), symbol="W_m"),
    *gru.TABLE,
)


class Discussion(NamedTuple):
    """What was said.

    Attributes:
        answer: the crowd's, as a member would give it.
        answers: every agent's own answer after the last message, agents first.
        hidden: (agents, batch, hidden), their states by then.
        agreement: (iterations + 1, batch), before any message and after each, in [0, 1].
        iterations: (batch,) messages exchanged until the sample was done.
    """

    answer: Any
    answers: Any
    hidden: Array
    agreement: Array
    iterations: Array


class ConsensusNetwork(eqx.Module):
    """Agents that exchange messages before they answer; itself a member.

    The equations are at the top of this file.

    Args:
        agents: a `Population` or a list of modules, each `agent(x, timespans, *, mask, key)`.
        in_size: numbers in one agent's answer: of an array or of logits all of them, of a `Normal`
            twice as many (mean and log std).
        hidden_size: width of an agent's state.
        shape: of the crowd's answer, such as (targets,) or (classes,); (in_size,) by default.
        likelihood: of the crowd's answer: "point", "normal" or "categorical", as for `Head`.
        message_size: numbers in one message; as many as the state has by default.
        iterations: the most messages each agent sends, 5 by default; 0: none, each for itself.
        tolerance: a sample is done when no state moves by more; 0: never before the last.
        dtype: float32, bfloat16, float16 or float64.
        key: a JAX key or an int seed, for what is learned here; the agents are as they are.

    Raises:
        ValueError: for sizes below 1, a negative number of iterations or tolerance, and when the
            agents' answers do not have `in_size` numbers.

    >>> from shoal.collective.stacked import make_members
    >>> class Linear(eqx.Module):
    ...     map: eqx.nn.Linear
    ...
    ...     def __init__(self, key):
    ...         self.map = eqx.nn.Linear(4, 3, key=key)
    ...
    ...     def __call__(self, x, timespans=None, *, mask=None, key=None):
    ...         return jax.vmap(self.map)(x)
    >>> network = ConsensusNetwork(make_members(Linear, 6, key=0), 3, 16, (2,), key=1)
    >>> network(jnp.ones((8, 4))).shape
    (8, 2)
    >>> network.discuss(jnp.ones((8, 4))).agreement.shape
    (6, 8)
    """

    agents: Population
    params: dict[str, Array]
    head: Head
    iterations: int = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)

    def __init__(
        self,
        agents: Any,
        in_size: int,
        hidden_size: int = 32,
        shape: Sequence[int] | None = None,
        likelihood: Literal["point", "normal", "categorical"] = "point",
        *,
        message_size: int | None = None,
        iterations: int = 5,
        tolerance: float = 1e-3,
        dtype=jnp.float32,
        key: PRNGKeyArray | int,
    ):
        message_size = hidden_size if message_size is None else message_size
        for name, size in [("in_size", in_size), ("hidden_size", hidden_size)]:
            _at_least(name, size, 1)
        _at_least("message_size", message_size, 1)
        _at_least("iterations", iterations, 0)
        _at_least("tolerance", tolerance, 0)
        self.agents = as_population(agents, "agents")
        own, other = jax.random.split(as_key(key))
        sizes = {**gru.dimensions(message_size, hidden_size), "answer": in_size}
        self.params = initialise(TABLE, sizes, key=own, dtype=as_dtype(dtype))
        shape = (in_size,) if shape is None else shape
        self.head = Head(hidden_size, shape, likelihood, dtype=dtype, key=other)
        self.iterations, self.tolerance = int(iterations), float(tolerance)

    def __call__(
        self,
        x: Array,
        timespans: Array | None = None,
        *,
        mask: Array | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Answer:
        """The crowd's answer: an array, `Normal` or `Categorical` of shape (batch, *shape)."""
        return self.discuss(x, timespans, mask=mask, key=key).answer

    def with_losses(self, x, timespans=None, *, mask=None, key=None):
        """The answer, and what the agents' own modules add to the loss."""
        answers, losses = self.agents.with_losses(x, timespans, mask=mask, key=key)
        return self.settle(answers).answer, losses.sum()

    @eqx.filter_jit
    def discuss(self, x, timespans=None, *, mask=None, key=None) -> Discussion:
        """The answer, and how it came about."""
        return self.settle(self.agents(x, timespans, mask=mask, key=key))

    @eqx.filter_jit
    def settle(self, answers: Answer) -> Discussion:
        """The discussion that follows the agents' own answers, agents first."""
        p = self.params
        heard = _numbers(answers, p["encoder_weight"].shape[-1])
        hidden = jnp.tanh(heard @ p["encoder_weight"].T + p["encoder_bias"])
        hidden, agreed, taken = discuss(self._step, hidden, self.iterations, self.tolerance)
        final = self.head(hidden)
        return Discussion(vote(final).answer, final, hidden, agreed, taken)

    def _step(self, hidden: Float[Array, "agents batch hidden"]) -> Array:
        p = self.params
        heard = mean_of_others(hidden @ p["message_weight"].T)
        projected = heard @ p["input_weight"].T + p["input_bias"]
        recurrent = hidden @ p["recurrent_weight"].T
        return gru.update(jnp, projected, recurrent, p["candidate_bias"], hidden)


def _numbers(answers: Answer, expected: int) -> Float[Array, "agents batch numbers"]:
    """An agent's answer as numbers: log-probabilities, or mean and log std, or as it is."""
    if isinstance(answers, Categorical):
        parts = [jax.nn.log_softmax(answers.logits)]
    elif isinstance(answers, Normal):
        parts = [answers.mean, jnp.log(answers.std)]
    else:
        parts = [answers]
    lead = parts[0].shape[:2]
    numbers = jnp.concatenate([part.reshape(*lead, -1) for part in parts], axis=-1)
    if numbers.shape[-1] != expected:
        raise ValueError(
            f"`in_size` must be the numbers in one agent's answer, {numbers.shape[-1]} for answers "
            f"of shape {parts[0].shape[2:]}; got {expected}"
        )
    return numbers


def _at_least(name: str, found: float, least: int) -> None:
    if not found >= least:
        raise ValueError(f"`{name}` must be at least {least}, got {found}")
