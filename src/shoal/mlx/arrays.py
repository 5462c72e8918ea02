"""`mlx.core` as the cells use it: the same functions, a few of them with a cheaper gradient.

MLX differentiates tanh(x) through 1/cosh²(x), which on a CPU costs more than the tanh itself. The
derivative 1 − y² needs only the output y, which is at hand.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx


@mx.custom_function
def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return mx.tanh(x)


@tanh.vjp
def _tanh_vjp(x, cotangent, y):
    return cotangent * (1.0 - y * y)


def sigmoid(x: mx.array) -> mx.array:
    """σ(x) = ½(1 + tanh(x/2)), in half the time of MLX's own on a CPU."""
    return 0.5 * tanh(0.5 * x) + 0.5  # pyright: ignore


def addmm(base: mx.array, a: mx.array, b: mx.array) -> mx.array:
    """base + a·b; MLX's own cannot be mapped by `mx.vmap`, and is no faster on a CPU."""
    return base + a @ b


class _Arrays:
    """`mlx.core` with these in place of its own."""

    __name__ = "mlx.core"
    tanh = staticmethod(tanh)
    sigmoid = staticmethod(sigmoid)
    addmm = staticmethod(addmm)

    def __getattr__(self, name: str) -> Any:
        return getattr(mx, name)


arrays = _Arrays()
