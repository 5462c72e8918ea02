"""Where array namespaces differ, for loops over time."""

from __future__ import annotations

from typing import Any


def unstack(xp, array, axis: int = 0) -> tuple[Any, ...]:
    """The parts of an array along an axis.

    Not by indexing: the gradient of each part would be a whole array, zero but for that part.

    >>> import numpy as np
    >>> [part.tolist() for part in unstack(np, np.eye(2))]
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if hasattr(xp, "unbind"):  # PyTorch
        return xp.unbind(array, axis)
    if xp.__name__ == "mlx.core":
        return tuple(xp.squeeze(part, axis) for part in xp.split(array, array.shape[axis], axis))
    return tuple(xp.moveaxis(array, axis, 0))


def take(xp, array, index):
    """The entries along the first axis that an index, (n,), names."""
    return xp.index_select(array, 0, index) if hasattr(xp, "unbind") else array[index]


def zeros_like(xp, like):
    """A function of shapes: arrays of zeros, of the type and place of another."""
    if hasattr(xp, "unbind"):
        return lambda *shape: like.new_zeros(shape)
    return lambda *shape: xp.zeros(shape, dtype=like.dtype)


def cast(xp, array, like):
    """The array in the type of another."""
    return array.to(like.dtype) if hasattr(xp, "unbind") else array.astype(like.dtype)


def linear(xp, x, weight, bias):
    """x·Wᵀ + b in one call, where there is one.

    >>> import numpy as np
    >>> linear(np, np.ones((1, 2)), np.ones((3, 2)), np.zeros(3))
    array([[2., 2., 2.]])
    """
    if hasattr(xp, "unbind"):
        return xp.nn.functional.linear(x, weight, bias)
    if xp.__name__ == "mlx.core":
        return xp.addmm(bias, x, xp.swapaxes(weight, -1, -2))
    return x @ weight.T + bias


def add_matmul(xp, base, x, matrix):
    """base + x·matrix, in one call where there is one; x is (batch, n)."""
    if hasattr(xp, "unbind") or xp.__name__ == "mlx.core":
        return xp.addmm(base, x, matrix)
    return base + x @ matrix


def mix(xp, start, end, share):
    """start·(1 − share) + end·share."""
    if hasattr(xp, "lerp") and start.dtype == end.dtype == share.dtype:
        return xp.lerp(start, end, share)
    return start + share * (end - start)


def batched_matmul(xp, a, b):
    """The product of each matrix in a, (n, i, j), with that in b, (n, j, k)."""
    return xp.bmm(a, b) if hasattr(xp, "bmm") else a @ b


def flip(xp, array, axis: int):
    """The array in reverse along an axis."""
    if hasattr(xp, "unbind"):
        return xp.flip(array, (axis,))
    if xp.__name__ == "mlx.core":
        index = xp.arange(array.shape[axis] - 1, -1, -1)
        return xp.take(array, index, axis=axis)
    return xp.flip(array, axis)
