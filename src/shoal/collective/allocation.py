"""Token allocation: a swarm of scorers agrees on how a budget is spread over tokens.

    s_ij = w_i·x_j + b_i                                what scorer i thinks of token j
    p_i⁰ = softmax_j(s_ij / T)                           its own allocation
    p_i  ← softmax_j((1 − λ) s_ij / T + λ ln p̄_j)       p̄ = mean_i p_i; 5 times
    p    = mean_i p_i                                    the shares: they sum to one

Every scorer moves towards the swarm's allocation and holds on to its own scores, in proportion
λ : 1 − λ with the pull λ = ½ by default: opinion dynamics after Friedkin and Johnsen, on
log-probabilities. Tokens that most scorers like gain, those that only some like lose. The update is
a fixed number of steps of one `lax.scan`, and differentiable. One scorer alone, or scorers that
agree, stay at softmax(s/T) whatever the number of steps.

How shares become fractions of tokens, and tokens are drawn, is in `allocation_draws.py`.

Source: Friedkin, Johnsen, "Social Influence and Opinions" (1990).
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from shoal.collective.allocation_draws import Draw, capped, draw
from shoal.equations.parameters import Constant, Parameter, Weights
from shoal.neurons.initialise import as_dtype, as_key, initialise

TABLE = (
    Parameter("weight", ("scorers", "features"), Weights("lecun_normal"), symbol="w"),
    Parameter("bias", ("scorers",), Constant(0.0), symbol="b"),
)


class Allocation(NamedTuple):
    """How a budget is spread.

    Attributes:
        shares: (batch, tokens), summing to one over the tokens; 0 for masked ones.
        log_shares: their logarithms, −inf for masked tokens; exact where shares underflow.
        scorers: (scorers, batch, tokens), each one's own shares after the last step.
    """

    shares: Array
    log_shares: Array
    scorers: Array


@eqx.filter_jit
def allocate(
    scores: Float[Array, "scorers *batch tokens"],
    *,
    iterations: int = 5,
    temperature: float | Array = 1.0,
    pull: float | Array = 0.5,
    mask: Bool[Array, "*batch tokens"] | None = None,
) -> Allocation:
    """The swarm's allocation from its scores; see the top of this file.

    Args:
        scores: what each scorer thinks of each token.
        iterations: how often the scorers look at each other.
        temperature: T > 0; small: the best tokens get nearly everything, great: all get alike.
        pull: λ in [0, 1); 0: nobody listens.
        mask: False for tokens that get nothing; every row must have one that is True.

    >>> scores = jnp.array([[3.0, 0.0, 2.0], [0.0, 3.0, 2.0]])  # what they agree on is the third
    >>> [round(float(allocate(scores, iterations=n).shares[2]), 2) for n in (0, 5)]
    [0.26, 0.33]
    >>> bool(jnp.allclose(allocate(scores[:1]).shares, jax.nn.softmax(scores[0])))  # alone
    True
    """
    own = scores / temperature
    mask = jnp.ones(own.shape[1:], bool) if mask is None else mask
    log_p = jax.nn.log_softmax(own, where=mask)

    def step(log_p, _):
        return jax.nn.log_softmax((1 - pull) * own + pull * _swarm(log_p, mask), where=mask), None

    log_p, _ = jax.lax.scan(step, log_p, None, length=iterations)
    log_shares = jnp.where(mask, _swarm(log_p, mask), -jnp.inf)
    return Allocation(jnp.exp(log_shares), log_shares, jnp.exp(log_p))


def _swarm(log_p: Array, mask: Array) -> Array:
    """ln mean_i p_i, and 0 where masked."""
    kept = jnp.where(mask, log_p, 0)  # a sum of nothing but −inf has no slope
    return jnp.where(mask, jax.nn.logsumexp(kept, axis=0) - jnp.log(len(kept)), 0)


class SwarmTokenAllocation(eqx.Module):
    """A swarm of linear scorers that spreads a budget over tokens.

    The equations are at the top of this file, and of `allocation_draws.py`.

    Args:
        in_size: features of a token.
        n_scorers: how many scorers the swarm has.
        iterations: how often they look at each other's allocation.
        temperature: T > 0 of the softmax over tokens.
        pull: λ in [0, 1), how much the swarm's allocation counts beside a scorer's own scores.
        dtype: float32, bfloat16, float16 or float64.
        key: a JAX key or an int seed.

    Raises:
        ValueError: for sizes below 1, a temperature that is not above 0, a pull outside [0, 1), a
            budget outside [0, tokens], and sampling without a key.

    >>> layer = SwarmTokenAllocation(4, key=0)
    >>> x = jax.random.normal(jax.random.key(1), (2, 6, 4))  # (batch, tokens, features)
    >>> layer(x).sum(-1).round(5).tolist()  # shares of a budget
    [1.0, 1.0]
    >>> fractions = layer.tokens(x, 2)  # of tokens, each at most one
    >>> fractions.sum(-1).round(5).tolist(), bool((fractions <= 1).all())
    ([2.0, 2.0], True)
    >>> layer.sample(x, 2, key=jax.random.key(2)).indices.shape
    (2, 2)
    """

    params: dict[str, Array]
    iterations: int = eqx.field(static=True)
    temperature: float = eqx.field(static=True)
    pull: float = eqx.field(static=True)

    def __init__(
        self,
        in_size: int,
        n_scorers: int = 8,
        *,
        iterations: int = 5,
        temperature: float = 1.0,
        pull: float = 0.5,
        dtype=jnp.float32,
        key: PRNGKeyArray | int,
    ):
        if in_size < 1 or n_scorers < 1:
            raise ValueError(
                f"`in_size` and `n_scorers` must be at least 1, got {in_size}, {n_scorers}"
            )
        if iterations < 0:
            raise ValueError(f"`iterations` must be at least 0, got {iterations}")
        if not temperature > 0:
            raise ValueError(f"`temperature` must be above 0, got {temperature}")
        if not 0 <= pull < 1:
            raise ValueError(f"`pull` must lie in [0, 1), got {pull}")
        sizes = {"scorers": n_scorers, "features": in_size}
        self.params = initialise(TABLE, sizes, key=as_key(key), dtype=as_dtype(dtype))
        self.iterations, self.temperature = int(iterations), float(temperature)
        self.pull = float(pull)

    def __call__(
        self,
        x: Float[Array, "*batch tokens features"],
        *,
        mask: Bool[Array, "*batch tokens"] | None = None,
    ) -> Float[Array, "*batch tokens"]:
        """Each token's share of a budget; they sum to one."""
        return self.allocate(x, mask=mask).shares

    def tokens(
        self,
        x: Float[Array, "*batch tokens features"],
        budget: float,
        *,
        mask: Bool[Array, "*batch tokens"] | None = None,
    ) -> Float[Array, "*batch tokens"]:
        """What fraction of each token is kept, at most one; they sum to `budget`.

        A row with fewer unmasked tokens than the budget keeps them all.
        """
        _check_budget(budget, x.shape[-2])
        return capped(self.allocate(x, mask=mask).log_shares, budget)

    def sample(
        self,
        x: Float[Array, "*batch tokens features"],
        budget: int,
        *,
        key: PRNGKeyArray | int | None = None,
        mask: Bool[Array, "*batch tokens"] | None = None,
    ) -> Draw:
        """`budget` different tokens of each row, drawn in proportion to their shares.

        Every row must have as many unmasked tokens. A key is needed.
        """
        if key is None:
            raise ValueError("sampling needs `key`, a JAX key; `tokens` gives fractions without")
        if budget != int(budget):
            raise ValueError(f"`budget` must be a whole number of tokens to draw, got {budget}")
        _check_budget(budget, x.shape[-2])
        return draw(self.allocate(x, mask=mask).log_shares, int(budget), as_key(key))

    def allocate(self, x, *, mask=None) -> Allocation:
        """The shares, and each scorer's own."""
        expected = self.params["weight"].shape[-1]
        if x.ndim < 2 or x.shape[-1] != expected:
            raise ValueError(
                f"`x` must be (batch, tokens, features) with {expected} features, got {x.shape}"
            )
        if mask is not None and mask.shape != x.shape[:-1]:
            raise ValueError(f"`mask` must be (batch, tokens) = {x.shape[:-1]}, got {mask.shape}")
        bias = self.params["bias"].reshape(-1, *(1,) * (x.ndim - 1))
        scores = jnp.einsum("...f,sf->s...", x, self.params["weight"]) + bias
        options = {"temperature": self.temperature, "pull": self.pull, "mask": mask}
        return allocate(scores, iterations=self.iterations, **options)


def _check_budget(budget: float, tokens: int) -> None:
    if not 0 <= budget <= tokens:
        raise ValueError(f"`budget` must be from 0 to the number of tokens, {tokens}; got {budget}")
