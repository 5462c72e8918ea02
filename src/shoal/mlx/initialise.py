"""How parameters start: an equation's table, drawn with MLX's random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from shoal.equations.parameters import Constant, FromWiring, Parameter, Uniform
from shoal.unrolled.stack import PROJECTION, Stack

# like an initialiser of `mlx.nn.init`: array -> array of its shape
Initializer = Callable[..., mx.array]

INITIALIZERS: dict[str, Callable[..., Initializer]] = {
    "xavier_uniform": nn.init.glorot_uniform,
    "xavier_normal": nn.init.glorot_normal,
    "he_uniform": nn.init.he_uniform,
    "he_normal": nn.init.he_normal,
    "lecun_uniform": lambda: _lecun(mx.random.uniform),
    "lecun_normal": lambda: _lecun(mx.random.normal),
    "orthogonal": nn.init.orthogonal,
    "normal": lambda: nn.init.normal(0.0, 0.02),
    "zeros": lambda: nn.init.constant(0.0),
}


def _lecun(draw) -> Initializer:
    """Variance 1/fan-in."""

    def initializer(like: mx.array) -> mx.array:
        if draw is mx.random.normal:
            return like.shape[-1] ** -0.5 * draw(like.shape)
        limit = (3.0 / like.shape[-1]) ** 0.5
        return draw(-limit, limit, like.shape)

    return initializer


def find_initializer(initializer: str | Initializer) -> Initializer:
    """The initialiser of a name, or the callable itself.

    Raises:
        ValueError: for a name that is not in `INITIALIZERS`.
    """
    if callable(initializer):
        return initializer
    if initializer not in INITIALIZERS:
        raise ValueError(
            f"`initializer` must be one of {', '.join(INITIALIZERS)}, or a function such as those "
            f"of mlx.nn.init; got {initializer!r}."
        )
    return INITIALIZERS[initializer]()


def initialise(
    table: Iterable[Parameter],
    sizes: Mapping[str, int],
    *,
    dtype: mx.Dtype = mx.float32,
    initializer: str | Initializer | None = None,
    matrices: Mapping[str, Any] | None = None,
) -> dict[str, mx.array]:
    """Every parameter of a table by name, drawn in float32 from `mx.random`'s state.

    Args:
        table: what to draw.
        sizes: a number for every dimension that the table names.
        dtype: of the result.
        initializer: a name or function for all `Weights`; None takes the table's own.
        matrices: what `FromWiring` starts refer to.

    >>> from shoal.equations.parameters import Weights
    >>> initialise([Parameter("w", ("n", "n"), Weights())], {"n": 3})["w"].shape
    (3, 3)
    """
    return {
        entry.name: _draw(entry, sizes, initializer, matrices or {}).astype(dtype)
        for entry in table
    }


def _draw(entry: Parameter, sizes, initializer, matrices) -> mx.array:
    shape, start = entry.sizes(sizes), entry.start
    if isinstance(start, Uniform):
        return mx.random.uniform(start.low, start.high, shape)
    if isinstance(start, Constant):
        return mx.full(shape, start.value, mx.float32)
    if isinstance(start, FromWiring):
        return mx.array(matrices[start.matrix], mx.float32)
    return find_initializer(initializer or start.default)(mx.zeros(shape))


def start(plan: Stack, dtype: mx.Dtype, initializer) -> dict[str, mx.array]:
    """Fresh parameters of a stack, and its cells' constants, by place and name."""
    arrays: dict[str, mx.array] = {}
    for place, cell in plan.places().items():
        options = {"dtype": dtype, "initializer": initializer, "matrices": cell.matrices()}
        drawn = initialise(cell.table(), cell.sizes(), **options)
        constants = {name: mx.array(value) for name, value in cell.buffers().items()}
        arrays |= {place + cell.prefix + k: v for k, v in (drawn | constants).items()}
    if plan.proj_size is not None:
        sizes = {"inputs": plan.layers[-1].output_size, "outputs": plan.proj_size}
        drawn = initialise(PROJECTION, sizes, dtype=dtype, initializer=initializer)
        arrays |= {f"stack.projection.{name}": array for name, array in drawn.items()}
    return arrays


def as_dtype(dtype: mx.Dtype | str) -> mx.Dtype:
    """A floating-point type of MLX, from itself or its name.

    Raises:
        ValueError: for anything else.

    >>> as_dtype("bfloat16")
    mlx.core.bfloat16
    """
    found = getattr(mx, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(found, mx.Dtype) or not mx.issubdtype(found, mx.floating):
        raise ValueError(f"`dtype` must be floating-point, such as mx.float32; got {dtype!r}.")
    return found


def type_name(dtype: mx.Dtype) -> str:
    """
    >>> type_name(mx.float32)
    'float32'
    """
    return str(dtype).rpartition(".")[2]
