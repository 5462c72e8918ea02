"""The mixture of experts: a router, experts, and what came of it.

    y = Σ_{i chosen} g_i(x) · f_i(x) + Σ_j shared_j(x)

Source: Shazeer et al. 2017, "Outrageously large neural networks"; nothing is dropped unless a
capacity is asked for, as in MegaBlocks (Gale et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from shoal.collective.moe.capacity import capacity, within
from shoal.collective.moe.checks import as_tokens, check_capacity, check_state, require_at_least
from shoal.collective.moe.experts import stacked
from shoal.collective.moe.grouped import all_experts
from shoal.collective.moe.losses import losses_of
from shoal.collective.moe.making import make_expert, make_router, output_width, weights_of_losses
from shoal.collective.moe.mixing import Devices, mix, place
from shoal.collective.moe.routed import Routed
from shoal.collective.moe.routers import AbstractRouter
from shoal.collective.moe.statistics import Statistics, statistics_of
from shoal.equations.checks import require_positive
from shoal.neurons.initialise import as_key


class Info(eqx.Module):
    """What a layer says besides its answer.

    Attributes:
        aux_loss: the weighted losses of this layer; add it to the task's.
        losses: every loss by name, unweighted: load_balance, importance, load, z.
        statistics: a `Statistics`.
        gates: (..., E) the weight of every expert for every token, mostly zeros: who handles what.
        state: of the router, for the next batch; None where it carries nothing.
    """

    aux_loss: Float[Array, ""]
    losses: dict[str, Array]
    statistics: Statistics
    gates: Float[Array, "*batch experts"]
    state: Any


class MixtureOfExperts(eqx.Module):
    """Experts, of which a router chooses a few for each token.

    Args:
        input_size: features of x.
        output_size: of the answer; as the input by default.
        hidden_size: of each expert; 4 · input_size by default.
        n_experts, top_k: how many there are, and how many a token has.
        experts: "gated" (SwiGLU), "mlp", or a function `make(key)` of any callable module
            (input,) -> (output,).
        router: "noisy_top_k", "top_k", "expert_choice", "bias_balanced", or a router.
        noise_std: of the noisy router at the start; noise needs a key.
        dropless: False gives every expert a capacity; what finds no room is 0.
        capacity_factor: capacity = ceil(factor · top_k · tokens / n_experts).
        drop_in_evaluation: keep to the capacity without a key too.
        shared_experts: how many more every token has.
        aux_losses: names of the losses that balance; by default those of the router's paper:
            importance and load (noisy_top_k), load_balance (top_k), none (the others).
        aux_loss_weight, z_loss_weight: of their sum, and of the z loss.
        activation: of "gated" (silu) and "mlp" (relu).
        initializer, dtype: of the experts' weights; routers compute in at least float32.
        key: a JAX key or an int seed.

    Raises:
        ValueError: more choices than experts, a capacity of 0, widths that do not fit.

    >>> moe = MixtureOfExperts(4, n_experts=4, key=0)
    >>> y, info = moe(jnp.ones((2, 5, 4)), key=jax.random.key(1))
    >>> y.shape, info.gates.shape, info.aux_loss.shape
    ((2, 5, 4), (2, 5, 4), ())
    """

    router: AbstractRouter
    experts: Any
    shared: Any
    input_size: int = eqx.field(static=True)
    output_size: int = eqx.field(static=True)
    capacity_factor: float | None = eqx.field(static=True)
    drop_in_evaluation: bool = eqx.field(static=True)
    loss_weights: tuple[tuple[str, float], ...] = eqx.field(static=True)
    devices: Devices

    def __init__(
        self,
        input_size: int,
        output_size: int | None = None,
        *,
        hidden_size: int | None = None,
        n_experts: int = 8,
        top_k: int = 2,
        experts: str | Callable[[PRNGKeyArray], Any] = "gated",
        router: str | AbstractRouter = "noisy_top_k",
        noise_std: float = 1.0,
        dropless: bool = True,
        capacity_factor: float = 1.25,
        drop_in_evaluation: bool = False,
        shared_experts: int = 0,
        aux_losses: tuple[str, ...] | None = None,
        aux_loss_weight: float = 0.01,
        z_loss_weight: float = 0.0,
        activation: str | None = None,
        initializer: Any = "xavier_uniform",
        dtype: Any = jnp.float32,
        key: PRNGKeyArray | int,
    ):
        require_positive(input_size=input_size, output_size=output_size, hidden_size=hidden_size)
        require_positive(shared_experts=shared_experts or None)
        require_at_least(0.0, aux_loss_weight=aux_loss_weight, z_loss_weight=z_loss_weight)
        check_capacity(capacity_factor)
        for_router, for_experts, for_shared = jax.random.split(as_key(key), 3)
        self.router = make_router(
            router, input_size, n_experts, top_k, noise_std=noise_std, key=for_router
        )
        sizes = input_size, hidden_size or 4 * input_size, output_size or input_size
        options = {"initializer": initializer, "dtype": dtype}
        make = make_expert(experts, sizes, activation=activation, **options)
        self.input_size = input_size
        self.output_size = output_width(make, input_size, output_size)
        self.experts = stacked(make, self.router.n_experts, for_experts)
        self.shared = stacked(make, shared_experts, for_shared) if shared_experts else None
        self.capacity_factor = None if dropless else capacity_factor
        self.drop_in_evaluation = drop_in_evaluation
        self.loss_weights = weights_of_losses(
            self.router, aux_losses, aux_loss_weight, z_loss_weight
        )
        self.devices = Devices(None)

    @property
    def n_experts(self) -> int:
        return self.router.n_experts

    @property
    def top_k(self) -> int:
        return self.router.top_k

    def initial_state(self) -> Any:
        """The router's state before the first batch: biases, or None."""
        return self.router.initial_state()

    def over(self, mesh: Mesh) -> MixtureOfExperts:
        """The same mixture with its experts divided over the mesh's axis `experts`.

        Tokens are divided over an axis `data`, where the mesh has one.
        """
        return eqx.tree_at(
            lambda moe: (moe.experts, moe.devices),
            self,
            place(self.experts, mesh),
            is_leaf=lambda node: isinstance(node, Devices),
        )

    def __call__(
        self,
        x: Float[Array, "*batch inputs"],
        state: Any = None,
        *,
        mask: Bool[Array, "*batch"] | None = None,
        key: PRNGKeyArray | int | None = None,
    ) -> tuple[Float[Array, "*batch outputs"], Info]:
        """The mixture's answer to every token, and what happened.

        Args:
            x: any leading axes; every row is a token.
            state: of the router, from `initial_state()` or the last `info.state`.
            mask: False for padding, which is nobody's, counts nowhere, and answers 0.
            key: for the routing noise; None means inference: no noise, nothing dropped unless
                `drop_in_evaluation`.
        """
        tokens, rows_mask = as_tokens(x, mask, self.input_size)
        check_state(state, self.router.initial_state())
        key = None if key is None else as_key(key)
        y, info = _forward(self, tokens, state, rows_mask, key)
        leading = jnp.shape(x)[:-1]
        gates = info.gates.reshape(*leading, -1)
        return y.reshape(*leading, -1), eqx.tree_at(lambda i: i.gates, info, gates)


@eqx.filter_jit
def _forward(moe: MixtureOfExperts, x, state, mask, key):
    routed = moe.router(x, state, mask, key)
    kept = routed
    if moe.capacity_factor is not None and (key is not None or moe.drop_in_evaluation):
        kept = _within_capacity(moe.capacity_factor, moe.top_k, routed, mask)
    y = mix(moe.experts, x, kept, moe.devices.mesh)
    if moe.shared is not None:
        shared = jnp.sum(all_experts(moe.shared, x), 0)
        y = y + (shared if mask is None else jnp.where(mask[:, None], shared, 0))
    narrow = eqx.filter_eval_shape(all_experts, moe.experts, x).dtype
    return y.astype(narrow), _info(moe, routed, kept, state, mask)


def _within_capacity(factor: float, top_k: int, routed: Routed, mask) -> Routed:
    if routed.tokens is not None:  # experts that choose take no more than they want
        return routed
    tokens = len(routed.logits) if mask is None else mask.sum()
    limit = capacity(tokens, routed.n_experts, top_k, factor)
    return routed.only(within(routed.experts, routed.n_experts, limit))


def _info(moe: MixtureOfExperts, routed: Routed, kept: Routed, state, mask) -> Info:
    losses = losses_of(routed, mask)
    weighted: Mapping[str, float] = dict(moe.loss_weights)
    return Info(
        aux_loss=sum((weight * losses[name] for name, weight in weighted.items()), jnp.zeros(())),
        losses=losses,
        statistics=statistics_of(routed, kept, mask),
        gates=kept.gates(),
        state=moe.router.next_state(state, routed.counts()),
    )
