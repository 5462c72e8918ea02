"""A tanh and a sigmoid made of products, for MLX on Linux, which computes an exponential there
one number at a time.

With u = x/2 Lambert's continued fraction, cut off, gives tanh(u), and from it

    tanh(x) = 2t/(1 + t²),   t = tanh(u) ≈ u·(135135 + 17325u² + 378u⁴ + u⁶) /
                                           (135135 + 62370u² + 3150u⁴ + 28u⁶)

within 2e-7 of the truth. Derivatives are those of the true functions. Source: Lambert 1768.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache, partial
from shutil import which
from typing import Any

LARGE = 1024  # numbers, below which calling a compiled function takes longer


def quick(xp) -> Any:
    """The namespace with a faster tanh and sigmoid, where that is a gain; else itself.

    >>> import numpy as np
    >>> quick(np) is np
    True
    """
    if isinstance(xp, _Quick) or not pays(xp):
        return xp
    return _quick(xp)


def pays(xp) -> bool:
    """Whether compiled pieces are a gain: MLX on the CPU of a Linux machine with g++."""
    if getattr(xp, "__name__", "") != "mlx.core" or sys.platform != "linux":
        return False
    return xp.default_device() == xp.cpu and _has_compiler()


@lru_cache(maxsize=1)
def _has_compiler() -> bool:
    return which("g++") is not None


def fused(xp, function: Callable) -> Callable:
    """`function(tanh, *arrays)`, element by element, compiled to one piece for MLX where it can.

    >>> import numpy as np
    >>> fused(np, lambda tanh, a, b: tanh(a) + b)(np.zeros(2), np.ones(2)).tolist()
    [1.0, 1.0]
    """
    chosen = quick(xp)
    if isinstance(chosen, _Quick):

        def tanh(x):
            return rational_tanh(xp, x) if x.dtype == xp.float32 else xp.tanh(x)

        return xp.compile(partial(function, tanh))
    whole = partial(function, xp.tanh)
    return xp.compile(whole) if hasattr(xp, "metal") and xp.metal.is_available() else whole


def rational_tanh(xp, x):
    """tanh from products alone.

    >>> import numpy as np
    >>> x = np.linspace(-20, 20, 101)
    >>> bool(abs(rational_tanh(np, x) - np.tanh(x)).max() < 1e-7)
    True
    """
    u = xp.clip(0.5 * x, -4.5, 4.5)
    q = u * u
    top = u * (135135.0 + q * (17325.0 + q * (378.0 + q)))
    t = top / (135135.0 + q * (62370.0 + q * (3150.0 + 28.0 * q)))
    return 2.0 * t / (1.0 + t * t)


class _Quick:
    """`mlx.core` with two functions replaced, for large arrays of float32."""

    __name__ = "mlx.core"

    def __init__(self, xp):
        self._xp = xp
        self._tanh = _differentiable(
            xp, lambda x: rational_tanh(xp, x), lambda gradient, y: gradient * (1.0 - y * y)
        )
        self._sigmoid = _differentiable(
            xp,
            lambda x: 0.5 * rational_tanh(xp, 0.5 * x) + 0.5,
            lambda gradient, y: gradient * (y * (1.0 - y)),
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._xp, name)

    def tanh(self, x):
        return self._tanh(x) if self._pays(x) else self._xp.tanh(x)

    def sigmoid(self, x):
        return self._sigmoid(x) if self._pays(x) else self._xp.sigmoid(x)

    def _pays(self, x) -> bool:
        return x.dtype == self._xp.float32 and x.size >= LARGE


_quick = lru_cache(maxsize=1)(_Quick)


def _differentiable(xp, function, backward):
    compiled, compiled_backward = (xp.compile(f) for f in (function, backward))

    @xp.custom_function
    def differentiable(x):
        return compiled(x)

    @differentiable.vjp
    def _(x, gradient, y):
        return compiled_backward(gradient, y)

    return differentiable
