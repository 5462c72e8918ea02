"""Routers: which experts a token goes to, and how much each counts.

All compute in at least float32, their matrices and what they return included. Logits are W x.

    TopK          the k greatest logits; softmax over the k, for k = 1 over all experts, since
                  a weight that is always 1 would teach the router nothing      (Mixtral; Switch)
    NoisyTopK     the same of W x + ε·σ(x), ε ~ N(0, 1),
                  σ(x) = noise_std·softplus(W_n x + ln(e − 1))        (Shazeer et al. 2017)
    ExpertChoice  every expert takes its c = ceil(k·T/E) greatest probabilities (Zhou et al. 2022)
    BiasBalanced  the k greatest s + b, s = sigmoid(W x), weighted by s over the sum of the chosen;
                  then b += γ·sign(mean load − load)                        (DeepSeek-V3, 2024)
"""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from shoal.collective.moe.capacity import capacity
from shoal.collective.moe.checks import check_top_k, require_at_least
from shoal.collective.moe.load import smooth_load
from shoal.collective.moe.routed import Routed
from shoal.equations.checks import require_positive
from shoal.neurons.initialise import as_key

_START = jax.nn.initializers.variance_scaling(
    0.1, "fan_in", "truncated_normal", in_axis=-1, out_axis=-2
)
_LN_E_MINUS_1 = 0.5413248546129181  # softplus of it is 1


class AbstractRouter(eqx.Module):
    """Routers share a matrix and a number of choices."""

    weight: eqx.AbstractVar[Float[Array, "experts inputs"]]
    top_k: eqx.AbstractVar[int]
    losses: eqx.AbstractClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def __call__(
        self,
        x: Float[Array, "tokens inputs"],
        state: Array | None,
        mask: Bool[Array, " tokens"] | None,
        key: PRNGKeyArray | None,
    ) -> Routed:
        """Who handles what; noise only with a key, padding (mask False) is nobody's."""

    def initial_state(self) -> Any:
        """What is carried from batch to batch: nothing, for most."""
        return None

    def next_state(self, state: Any, counts: Array) -> Any:
        """The state after a batch in which experts had so many assignments."""
        return None

    @property
    def n_experts(self) -> int:
        return self.weight.shape[0]

    @property
    def input_size(self) -> int:
        return self.weight.shape[1]


class TopK(AbstractRouter):
    """The k greatest logits.

    Args:
        input_size, n_experts, top_k: widths.
        jitter: with a key, x is first multiplied by uniform numbers in 1 ± jitter (Switch: 0.01).
        key: a JAX key or an int seed.
    """

    losses = ("load_balance",)

    weight: Float[Array, "experts inputs"]
    top_k: int = eqx.field(static=True)
    jitter: float = eqx.field(static=True)

    def __init__(self, input_size, n_experts=8, top_k=2, *, jitter: float = 0.0, key):
        check_top_k(top_k, n_experts)
        require_at_least(0.0, jitter=jitter)
        self.weight = _matrix(key, n_experts, input_size)
        self.top_k, self.jitter = top_k, jitter

    def __call__(self, x, state, mask, key):
        if key is not None and self.jitter:
            x = wide(x)
            x = x * jax.random.uniform(key, x.shape, x.dtype, 1 - self.jitter, 1 + self.jitter)
        logits = matvec(self.weight, x)
        return _routed(logits, logits, self.top_k, mask)


class NoisyTopK(AbstractRouter):
    """The k greatest logits after noise of a learned size.

    Args:
        input_size, n_experts, top_k: widths.
        noise_std: standard deviation of the noise at the start; there is none without a key.
        key: a JAX key or an int seed.
    """

    losses = ("importance", "load")

    weight: Float[Array, "experts inputs"]
    noise_weight: Float[Array, "experts inputs"]
    top_k: int = eqx.field(static=True)
    noise_std: float = eqx.field(static=True)

    def __init__(self, input_size, n_experts=8, top_k=2, *, noise_std: float = 1.0, key):
        check_top_k(top_k, n_experts)
        require_at_least(0.0, noise_std=noise_std)
        self.weight = _matrix(key, n_experts, input_size)
        self.noise_weight = jnp.zeros_like(self.weight)
        self.top_k, self.noise_std = top_k, noise_std

    def __call__(self, x, state, mask, key):
        logits = matvec(self.weight, x)
        if not self.noise_std:
            return _routed(logits, logits, self.top_k, mask)
        std = self.noise_std * jax.nn.softplus(matvec(self.noise_weight, x) + _LN_E_MINUS_1)
        noisy = logits
        if key is not None:
            noisy = logits + std * jax.random.normal(key, logits.shape, logits.dtype)
        load = smooth_load(logits, noisy, std, self.top_k)
        load = jnp.sum(load if mask is None else jnp.where(mask[:, None], load, 0.0), 0)
        return _routed(logits, noisy, self.top_k, mask, load)


class ExpertChoice(AbstractRouter):
    """Every expert takes the tokens that it suits best; balanced by construction.

    A token has as many experts as take it, top_k in the mean, perhaps none. Whether one is taken
    depends on all the others: in a causal model this leaks the future.

    Args:
        input_size, n_experts, top_k: widths; top_k is what an expert's number of tokens is made of.
        key: a JAX key or an int seed.
    """

    losses = ()

    weight: Float[Array, "experts inputs"]
    top_k: int = eqx.field(static=True)

    def __init__(self, input_size, n_experts=8, top_k=2, *, key):
        check_top_k(top_k, n_experts)
        self.weight = _matrix(key, n_experts, input_size)
        self.top_k = top_k

    def __call__(self, x, state, mask, key):
        logits = matvec(self.weight, x)
        probabilities = jax.nn.softmax(logits, -1)
        most = taken = int(capacity(len(x), self.n_experts, self.top_k, 1.0))
        if mask is not None:
            taken = capacity(mask.sum(), self.n_experts, self.top_k, 1.0)
        wanted = probabilities if mask is None else jnp.where(mask[:, None], probabilities, -1.0)
        weights, tokens = lax.top_k(wanted.T, most)
        experts = jnp.broadcast_to(jnp.arange(self.n_experts)[:, None], tokens.shape)
        routed = Routed(experts, weights, tokens, logits, probabilities)
        return routed.only(jnp.broadcast_to(jnp.arange(most) < taken, tokens.shape))


class BiasBalanced(AbstractRouter):
    """Balanced without an auxiliary loss, by biases that are state and never touch the weights.

    Args:
        input_size, n_experts, top_k: widths.
        rate: γ, how much a bias moves per batch.
        key: a JAX key or an int seed.

    The state is b, (experts,): start from `initial_state()`, pass on what comes back.
    """

    losses = ()

    weight: Float[Array, "experts inputs"]
    top_k: int = eqx.field(static=True)
    rate: float = eqx.field(static=True)

    def __init__(self, input_size, n_experts=8, top_k=2, *, rate: float = 1e-3, key):
        check_top_k(top_k, n_experts)
        require_at_least(0.0, rate=rate)
        self.weight = _matrix(key, n_experts, input_size)
        self.top_k, self.rate = top_k, rate

    def __call__(self, x, state, mask, key):
        logits = matvec(self.weight, x)
        affinity = jax.nn.sigmoid(logits)
        bias = self.initial_state() if state is None else state
        _, experts = lax.top_k(lax.stop_gradient(affinity + bias), self.top_k)
        weights = jnp.take_along_axis(affinity, experts, -1)
        if self.top_k > 1:  # one weight over itself would be 1, and teach nothing
            weights = weights / jnp.sum(weights, -1, keepdims=True)
        probabilities = affinity / jnp.sum(affinity, -1, keepdims=True)
        return _masked(Routed(experts, weights, None, logits, probabilities), mask)

    def initial_state(self):
        return jnp.zeros(self.n_experts, wide(self.weight).dtype)

    def next_state(self, state, counts):
        bias = self.initial_state() if state is None else state
        counts = counts.astype(bias.dtype)
        return bias + self.rate * jnp.sign(jnp.mean(counts) - counts)


ROUTERS: dict[str, type[AbstractRouter]] = {
    "noisy_top_k": NoisyTopK,
    "top_k": TopK,
    "expert_choice": ExpertChoice,
    "bias_balanced": BiasBalanced,
}


def wide(x: Array) -> Array:
    """x in at least float32."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def matvec(weight: Array, x: Array) -> Array:
    """W x per token, in at least float32 and without shortcuts of the hardware."""
    return jnp.matmul(wide(x), wide(weight).T, precision=lax.Precision.HIGHEST)


def _routed(logits, noisy, top_k: int, mask, load=None) -> Routed:
    greatest, experts = lax.top_k(noisy, top_k)
    if top_k == 1:
        weights = jnp.take_along_axis(jax.nn.softmax(noisy, -1), experts, -1)
    else:
        weights = jax.nn.softmax(greatest, -1)
    probabilities = jax.nn.softmax(logits, -1)
    return _masked(Routed(experts, weights, None, logits, probabilities, load), mask)


def _masked(routed: Routed, mask) -> Routed:
    return routed if mask is None else routed.only(mask[:, None])


def _matrix(key, n_experts: int, input_size: int) -> Array:
    require_positive(input_size=input_size)
    return _START(as_key(key), (n_experts, input_size), jnp.float32)
