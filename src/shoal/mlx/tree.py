"""Arrays by path as nested `mlx.nn` modules: what MLX's own functions see of a neuron.

`tree_flatten(module.parameters())` gives the paths back, which are the layout that all frameworks
share. An array whose name begins with "_" is a constant, and no parameter to MLX.
"""

from __future__ import annotations

from collections.abc import Mapping

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten


class Loads(nn.Module):
    """A module that says in words what does not fit in a file of weights."""

    def load_weights(self, file_or_weights, strict: bool = True) -> nn.Module:
        """As MLX does it.

        Raises:
            ValueError: the weights are of another structure; nothing was changed.
        """
        try:
            return super().load_weights(file_or_weights, strict)
        except ValueError as error:
            raise ValueError(
                f"{str(error).rstrip('. ')}: the weights are of another structure than this "
                f"{type(self).__name__}; make it with the arguments that they were trained with"
            ) from None


class Group(nn.Module):
    """Arrays and other groups by name."""

    def __init__(self, entries: Mapping):
        super().__init__()
        for name, entry in entries.items():
            setattr(self, name, _grouped(entry))


class Fixed(nn.Module):
    """One array that is saved and loaded like any other, and that nothing makes trainable."""

    def __init__(self, value: mx.array):
        super().__init__()
        self.value = value
        self._no_grad = _Always({"value"})


class _Always(set):
    """Names that `unfreeze` cannot take away."""

    def clear(self) -> None:
        """Nothing: `unfreeze` of a larger module comes here too."""

    def difference_update(self, *names) -> None:
        """Nothing."""


def _grouped(entry):
    if isinstance(entry, dict):
        return Group(entry)
    return [_grouped(part) for part in entry] if isinstance(entry, list) else entry


def grown(arrays: Mapping[str, mx.array]) -> Group:
    """The groups of arrays by path; a number in a path is a place in a list.

    >>> grown({"layers.0.w": mx.zeros(2)}).layers[0].w.shape
    (2,)
    """
    return Group(tree_unflatten(list(arrays.items())))


def by_path(module: nn.Module, *, constants: bool = False) -> dict[str, mx.array]:
    """A module's parameters by path, and its constants too if they are asked for."""
    return dict(tree_flatten(module if constants else module.parameters()))


def replace(module: nn.Module, found: Mapping[str, object]) -> None:
    """Puts arrays in a module's place, by path, each in the type that it has there.

    Raises:
        ValueError: an array is missing, left over, or of another shape; nothing was changed.
    """
    wanted = by_path(module)
    for name, array in wanted.items():
        if name not in found:
            raise ValueError(f"the layout lacks {name}, which must be {array.shape}")
    for name in found:
        if name not in wanted:
            raise ValueError(f"the layout has {name}, for which the module has no place")
    new = {name: mx.array(found[name]) for name in wanted}  # pyright: ignore
    for name, array in wanted.items():
        if new[name].shape != array.shape:
            raise ValueError(
                f"{name} is {new[name].shape} in the layout, but the module needs {array.shape}"
            )
    new = [(name, new[name].astype(array.dtype)) for name, array in wanted.items()]
    module.update(tree_unflatten(new))  # pyright: ignore
