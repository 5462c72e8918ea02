"""A function of arrays that runs as one compiled program, also while MLX records for a gradient.

`mx.compile` steps aside where an array is being recorded: a training step that is not compiled as a
whole runs piece by piece, and on a CPU hundreds of small pieces take longer in Python and between
each other than at work. Here the values are taken out of the record, the compiled function computes
with them, and derivatives of every order are those of the function itself. Where there are no
values yet, under `mx.compile` or `mx.vmap`, the function is recorded like any other.
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np

from shoal.unrolled.quick import pays

KEPT = 32  # shapes of which a compiled program is kept


def whole(function: Callable, backward: Callable | None = None) -> Callable:
    """The function, compiled for shapes that come a second time.

    Args:
        function: of arrays, to a tuple of arrays.
        backward: `(arrays, cotangents, outputs)`, tuples, to the gradients; by default MLX's own.

    >>> square = whole(lambda x: (x * x,))
    >>> mx.grad(lambda x: square(x)[0].sum())(mx.array([3.0])).tolist()
    [6.0]
    """
    compiled, seen = mx.compile(function), set()

    def forward(*arrays):
        values = _values(arrays) if _known(arrays, seen) else None
        return function(*arrays) if values is None else compiled(*values)

    result = mx.custom_function(forward)

    @result.vjp
    def _(arrays, cotangents, outputs):
        if backward is not None:
            return backward(arrays, cotangents, outputs)
        return tuple(mx.vjp(function, _listed(arrays), list(cotangents))[1])

    @result.jvp
    def _(arrays, tangents):
        pairs = zip(_listed(arrays), _listed(tangents), strict=True)
        given = [mx.zeros_like(a) if t is None else t for a, t in pairs]
        return tuple(mx.jvp(function, _listed(arrays), given)[1])

    return result


def _listed(arrays) -> list:
    """One argument comes as it is, several as a tuple."""
    return [arrays] if isinstance(arrays, mx.array) else list(arrays)


def _known(arrays, seen: set) -> bool:
    """Whether such arrays came before, and a program pays for them."""
    if not pays(mx) or any(a.dtype not in (mx.float32, mx.bool_) for a in arrays):
        return False
    shapes = tuple(a.shape for a in arrays)
    if shapes in seen:
        return True
    if len(seen) < KEPT:
        seen.add(shapes)
    return False


def _values(arrays) -> list[mx.array] | None:
    """The same numbers, recorded by nobody; None where there are none yet."""
    try:
        mx.eval(*arrays)
    except ValueError:
        return None
    return [mx.array(np.asarray(array)) for array in arrays]
