"""How parameters start: an equation's table, drawn by `torch.nn.init`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import init

from shoal.equations.parameters import Constant, FromWiring, Parameter, Uniform

# fills a matrix (outputs, inputs) in place
Initializer = Callable[[Tensor], object]

INITIALIZERS: dict[str, Initializer] = {
    "xavier_uniform": init.xavier_uniform_,
    "xavier_normal": init.xavier_normal_,
    "he_uniform": partial(init.kaiming_uniform_, nonlinearity="relu"),
    "he_normal": partial(init.kaiming_normal_, nonlinearity="relu"),
    "lecun_uniform": partial(init.kaiming_uniform_, nonlinearity="linear"),
    "lecun_normal": partial(init.kaiming_normal_, nonlinearity="linear"),
    "orthogonal": init.orthogonal_,
    "normal": partial(init.normal_, std=0.02),
    "zeros": init.zeros_,
}


def find_initializer(initializer: str | Initializer) -> Initializer:
    """The initialiser of a name, or the callable itself.

    Raises:
        ValueError: for a name that is not in `INITIALIZERS`.
    """
    if callable(initializer):
        return initializer
    if initializer not in INITIALIZERS:
        raise ValueError(
            f"`initializer` must be one of {', '.join(INITIALIZERS)}, or a function that fills a "
            f"tensor in place, such as those of torch.nn.init; got {initializer!r}."
        )
    return INITIALIZERS[initializer]


@torch.no_grad()
def draw(
    tensor: Tensor,
    entry: Parameter,
    initializer: str | Initializer | None = None,
    matrices: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Fills a parameter as its entry of the table says.

    Args:
        tensor: changed in place; drawn in at least float32.
        entry: of a neuron's table.
        initializer: a name or function for `Weights`; None takes the table's own.
        matrices: what `FromWiring` starts refer to.
    """
    wide = torch.empty_like(tensor, dtype=torch.promote_types(tensor.dtype, torch.float32))
    start = entry.start
    if isinstance(start, Uniform):
        init.uniform_(wide, start.low, start.high)
    elif isinstance(start, Constant):
        init.constant_(wide, start.value)
    elif isinstance(start, FromWiring):
        matrix = (matrices or {})[start.matrix]
        wide.copy_(torch.tensor(np.asarray(matrix, float)).reshape(wide.shape))
    else:
        find_initializer(initializer or start.default)(wide)
    tensor.copy_(wide)
