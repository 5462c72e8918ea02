"""Where the array namespaces differ."""

from __future__ import annotations


def split(xp, array, count: int):
    """`count` equal parts of the last axis.

    Slices would do, but where gradients are taken a part's would be padded to the whole's width
    and added to the others', while those of a split are put side by side.

    >>> import numpy as np
    >>> [part.tolist() for part in split(np, np.arange(4), 2)]
    [[0, 1], [2, 3]]
    """
    if hasattr(xp, "chunk"):  # PyTorch, whose `split` takes the size of a part
        return xp.chunk(array, count, -1)
    return xp.split(array, count, -1)


def add_product(xp, base, a, b):
    """base + a·b, in one call where there is one.

    >>> add_product(None, 1.0, 2.0, 3.0)
    7.0
    """
    if hasattr(xp, "addcmul") and base.dtype == a.dtype == b.dtype:
        return xp.addcmul(base, a, b)
    return base + a * b


def below(xp, matrices):
    """Matrices below one another, as one; those of a shared crowd know how themselves.

    >>> import numpy as np
    >>> below(np, [np.ones((2, 3)), np.ones((1, 3))]).shape
    (3, 3)
    """
    if hasattr(matrices[0], "below"):
        return matrices[0].below(matrices)
    return xp.concatenate(matrices, axis=0)
