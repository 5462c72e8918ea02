"""How each framework's modules give and take their arrays; none is imported unless it is in use.

PyTorch and MLX modules say themselves where an array belongs, by `layout()` and `load_layout()`; a
JAX pytree says so by its paths. NumPy arrays are the common ground; bfloat16 goes over as bits.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol

import numpy as np

from shoal.bundle.tensors import bfloat16, is_bfloat16


class Framework(Protocol):
    """What reads a module's arrays by path, and writes them."""

    def read(self, module: Any) -> dict[str, np.ndarray]: ...
    def write(self, module: Any, arrays: dict[str, np.ndarray]) -> Any: ...


class _Jax:
    """Any pytree; a new one is written."""

    def read(self, module):
        from shoal.bundle.arrays import named_leaves

        named = {name: np.asarray(leaf) for name, leaf in named_leaves(module).items()}
        if not named:
            raise TypeError(f"{type(module).__name__} has no arrays that could be saved by path")
        return named

    def write(self, module, arrays):
        import jax
        import jax.numpy as jnp

        from shoal.bundle.arrays import path_name

        def new(path, leaf):
            found = arrays.get(path_name(path))
            return leaf if found is None else jnp.asarray(found, leaf.dtype)

        return jax.tree_util.tree_map_with_path(new, module)


class _Torch:
    """`shoal.torch`, in place."""

    def read(self, module):
        arrays = _layout(module)
        if hasattr(module, "time_scaling"):
            arrays |= {
                f"time_scaling.{name}.value": array
                for name, array in module.time_scaling.named_buffers()
            }
        if getattr(module, "feature_mask", None) is not None:
            arrays["feature_mask.value"] = module.feature_mask
        return {name: from_torch(array) for name, array in arrays.items()}

    def write(self, module, arrays):
        module.load_layout({name: to_torch(array) for name, array in arrays.items()})
        return module


class _MLX:
    """`shoal.mlx`, in place."""

    def read(self, module):
        return {name: from_mlx(array) for name, array in _layout(module).items()}

    def write(self, module, arrays):
        module.load_layout({name: to_mlx(array) for name, array in arrays.items()})
        return module


def framework_of(module: Any) -> Framework:
    """The framework that a module is of; what is of no other is a pytree."""
    torch, mlx = sys.modules.get("torch"), sys.modules.get("mlx.nn")
    if torch is not None and isinstance(module, torch.nn.Module):
        return _Torch()
    if mlx is not None and isinstance(module, mlx.Module):
        return _MLX()
    return _Jax()


def from_torch(tensor: Any) -> np.ndarray:
    """A copy as NumPy array."""
    import torch

    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype != torch.bfloat16:
        return tensor.numpy().copy()
    return tensor.view(torch.int16).numpy().view("<u2").view(bfloat16()).copy()


def to_torch(array: np.ndarray) -> Any:
    """A copy as tensor on the CPU."""
    import torch

    array = np.array(array, order="C", copy=True)
    if not is_bfloat16(array):
        return torch.from_numpy(array)
    return torch.from_numpy(array.view("<i2")).view(torch.bfloat16)


def from_mlx(array: Any) -> np.ndarray:
    """A copy as NumPy array."""
    import mlx.core as mx

    if array.dtype != mx.bfloat16:
        return np.array(array)
    return np.array(array.view(mx.uint16)).view(bfloat16())


def to_mlx(array: np.ndarray) -> Any:
    """A copy as MLX array."""
    import mlx.core as mx

    array = np.array(array, order="C", copy=True)
    if array.dtype == np.float64:
        return mx.array(array, dtype=mx.float64)
    return mx.array(array.view("<u2")).view(mx.bfloat16) if is_bfloat16(array) else mx.array(array)


def _layout(module: Any) -> dict[str, Any]:
    if not hasattr(module, "layout"):
        raise TypeError(
            f"{type(module).__name__} is no neuron or SequenceModel of shoal, so its parameters "
            "have no common layout; give the neuron that is in it"
        )
    return dict(module.layout())
