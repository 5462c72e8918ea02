"""A mixture with the weights of a Hugging Face Mixtral block.

Names as in its `state_dict()`: `gate.weight` and `experts.gate_up_proj`, `experts.down_proj`
(transformers 5), or `experts.0.w1.weight`, `.w2.`, `.w3.` and so on (before).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from shoal.collective.moe.layer import MixtureOfExperts


def from_mixtral(weights: Mapping[str, Any], top_k: int = 2, **options: Any) -> MixtureOfExperts:
    """The mixture that computes what the block does.

    Args:
        weights: the block's `state_dict()`, of tensors or arrays.
        top_k: experts per token; the block's weights do not tell.
        options: further arguments of `MixtureOfExperts`, such as `activation`.

    Raises:
        ValueError: a name is missing.
    """
    router, gate, up, down = (jnp.asarray(array) for array in _arrays(weights))
    n_experts, input_size = router.shape
    options = {"router": "top_k", "dtype": gate.dtype, "key": 0, **options}
    moe = MixtureOfExperts(
        input_size, hidden_size=gate.shape[2], n_experts=n_experts, top_k=top_k, **options
    )
    return eqx.tree_at(_places, moe, (router, gate, up, down))


def _places(moe: MixtureOfExperts):
    return (
        moe.router.weight,
        moe.experts.gate_weight,
        moe.experts.up_weight,
        moe.experts.down_weight,
    )


def _arrays(weights: Mapping[str, Any]) -> list[np.ndarray]:
    router = _array(weights, "gate.weight")
    if "experts.gate_up_proj" in weights:
        both = _array(weights, "experts.gate_up_proj")
        gate, up = np.split(both, 2, axis=1)
        return [router, *_inputs_first(gate, up), _array(weights, "experts.down_proj")]
    gate, down, up = (
        np.stack([_array(weights, f"experts.{e}.w{n}.weight") for e in range(len(router))])
        for n in (1, 2, 3)
    )
    return [router, *_inputs_first(gate, up), down]


def _inputs_first(*weights: np.ndarray) -> list[np.ndarray]:
    return [np.swapaxes(weight, 1, 2) for weight in weights]


def _array(weights: Mapping[str, Any], name: str) -> np.ndarray:
    if name not in weights:
        raise ValueError(
            f"`weights` must hold {name!r}, as a Mixtral block's state_dict() does; "
            f"found {', '.join(sorted(weights)[:6])}."
        )
    found = weights[name]
    return np.array(found.detach().cpu().numpy() if hasattr(found, "detach") else found)
