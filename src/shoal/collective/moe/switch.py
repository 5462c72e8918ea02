"""The Switch feed-forward layer: one expert per token, a capacity, and a way around it.

    y = x + p_i(x) · f_i(x),   i the most probable expert;   y = x where it has no room

Source: Fedus, Zoph and Shazeer 2021, "Switch Transformers".
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from shoal.collective.moe.layer import Info, MixtureOfExperts
from shoal.collective.moe.routers import TopK
from shoal.neurons.initialise import as_key


class SwitchFFN(eqx.Module):
    """A feed-forward layer with a residual, whose experts are chosen one per token.

    Args:
        input_size: features of x, and of the answer.
        hidden_size, n_experts, experts, activation, initializer, dtype: as of `MixtureOfExperts`;
            experts are "mlp" by default.
        capacity_factor: room per expert, in multiples of its even share.
        drop_tokens: whether tokens beyond the capacity pass by, when a key is given.
        drop_in_evaluation: whether they do without a key too.
        jitter: with a key, the router sees x times uniform numbers in 1 ± jitter.
        aux_loss_weight, z_loss_weight: of the load balance, and of the z loss.
        key: a JAX key or an int seed.

    >>> layer = SwitchFFN(4, n_experts=2, key=0)
    >>> y, info = layer(jnp.ones((6, 4)), key=jax.random.key(0))  # all alike, room for three
    >>> info.statistics.dropped_fraction.item(), bool((y[3:] == 1.0).all())
    (0.5, True)
    """

    mixture: MixtureOfExperts

    def __init__(
        self,
        input_size: int,
        hidden_size: int | None = None,
        *,
        n_experts: int = 8,
        experts: Any = "mlp",
        capacity_factor: float = 1.0,
        drop_tokens: bool = True,
        drop_in_evaluation: bool = False,
        jitter: float = 0.01,
        aux_loss_weight: float = 0.01,
        z_loss_weight: float = 0.0,
        activation: str | None = None,
        initializer: Any = "xavier_uniform",
        dtype: Any = jnp.float32,
        key: PRNGKeyArray | int,
    ):
        for_router, for_rest = jax.random.split(as_key(key))
        self.mixture = MixtureOfExperts(
            input_size,
            input_size,
            hidden_size=hidden_size,
            n_experts=n_experts,
            top_k=1,
            experts=experts,
            router=TopK(input_size, n_experts, 1, jitter=jitter, key=for_router),
            dropless=not drop_tokens,
            capacity_factor=capacity_factor,
            drop_in_evaluation=drop_in_evaluation,
            aux_loss_weight=aux_loss_weight,
            z_loss_weight=z_loss_weight,
            activation=activation,
            initializer=initializer,
            dtype=dtype,
            key=for_rest,
        )

    def over(self, mesh: Mesh) -> SwitchFFN:
        """The same layer with its experts divided over the mesh's axis `experts`."""
        return eqx.tree_at(lambda layer: layer.mixture, self, self.mixture.over(mesh))

    def __call__(
        self,
        x: Float[Array, "*batch features"],
        *,
        mask: Bool[Array, "*batch"] | None = None,
        key: PRNGKeyArray | int | None = None,
    ) -> tuple[Float[Array, "*batch features"], Info]:
        """x plus its expert's answer, or x where the expert had no room; arguments as there."""
        y, info = self.mixture(x, mask=mask, key=key)
        return x + y, info
