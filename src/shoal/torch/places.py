"""Where things are: PyTorch's names of modules, and the layout that every framework shares.

rnn_cell                stack.layers.0.forward.params.         the first layer, as in ncps
rnn_cell_reverse        stack.layers.0.backward.params.
rnn_cell_l1             stack.layers.1.forward.params.         suffixes as in torch.nn.LSTM
lstm, lstm_l1           stack.layers.0.forward.memory.         mixed memory; the cell is then
                        stack.layers.0.forward.cell.params.
fc                      stack.projection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from shoal.unrolled.stack import Stack


class Place(NamedTuple):
    """One cell: where it is in the layout, and what its modules' names end with."""

    name: str
    suffix: str


def places(stack: Stack) -> list[Place]:
    """Every cell of a stack.

    >>> from shoal.unrolled.plans import stack_of
    >>> stack = stack_of("gru", {"input_size": 3, "units": 4, "num_layers": 2})
    >>> [place.suffix for place in places(stack)]
    ['', '_l1']
    """
    found = []
    for name in stack.places():
        _, _, number, direction, _ = name.split(".")
        suffix = f"_l{number}" if number != "0" else ""
        found.append(Place(name, suffix + ("_reverse" if direction == "backward" else "")))
    return found


def misfit(module: Any, state_dict: Mapping[str, Any], prefix: str) -> str | None:
    """A sentence where a checkpoint is of another structure than a module; None where it fits."""
    for name, own in module.state_dict().items():
        given = state_dict.get(prefix + name)
        if given is not None and tuple(given.shape) != tuple(own.shape):
            return (
                f"this {type(module).__name__} reads {module.input_size} features into "
                f"{module.state_size} neurons, and the weights are of another structure: make it "
                "with the arguments that they were trained with."
            )
    return None


def as_tensor(value: Any) -> Tensor:
    """A tensor from a tensor or anything NumPy understands, JAX's and MLX's bfloat16 included."""
    if isinstance(value, Tensor):
        return value.detach()
    array = np.asarray(value)
    if array.dtype.kind == "V" or array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    return torch.tensor(array)


def matched(expected: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Tensor]:
    """What is given under the expected names, checked before anything is changed.

    Raises:
        ValueError: for names that are missing or unknown, and for other shapes.
    """
    missing = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    if missing or unknown:
        wrong = f"`{missing[0]}` is missing" if missing else f"`{unknown[0]}` has no place"
        raise ValueError(
            f"the weights do not fit this module: {wrong} ({len(missing)} missing, {len(unknown)} "
            "unknown); make the module with the arguments that the weights were trained with."
        )
    tensors = {name: as_tensor(given[name]) for name in expected}
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise ValueError(
                f"`{name}` must have the shape {tuple(expected[name].shape)} in this module, got "
                f"{tuple(tensor.shape)}."
            )
    return tensors
