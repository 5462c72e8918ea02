"""One member's matrix in a crowd that has its matrices in common.

    M = W ∘ r sᵀ,    M x = r ∘ (W (s ∘ x))

W belongs to all members, r and s to one. The second form never works M out: side by side, the
members' rows go through W in one matrix product, and what is a member's own costs one
multiplication per entry. Cells meet this in place of an array wherever they say `@`, `.T` or take
a part; whatever needs the numbers asks for `dense`.

Source: Wen, Tran & Ba, "BatchEnsemble", ICLR 2020, whose slow weight is W and fast weights r, s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

Tree = TypeVar("Tree")


class SharedMatrix(eqx.Module):
    """W ∘ r sᵀ, not worked out.

    >>> m = SharedMatrix(jnp.array([[1.0, 2.0]]), jnp.array([3.0]), jnp.array([1.0, -1.0]))
    >>> m.shape, (jnp.ones((4, 2)) @ m.T)[0], dense(m)
    ((1, 2), Array([-3.], dtype=float32), Array([[ 3., -6.]], dtype=float32))
    """

    shared: Float[Array, "rows columns"]  # W
    rows: Float[Array, " rows"]  # r
    columns: Float[Array, " columns"]  # s

    __array_ufunc__: ClassVar[None] = None  # NumPy arrays leave `@` to us

    @property
    def shape(self) -> tuple[int, ...]:
        return self.shared.shape

    @property
    def ndim(self) -> int:
        return 2

    @property
    def dtype(self) -> Any:
        return self.shared.dtype

    @property
    def T(self) -> SharedMatrix:
        return SharedMatrix(self.shared.T, self.columns, self.rows)

    def __getitem__(self, index: Any) -> Any:
        """Two slices give a part; two arrays of positions the numbers there."""
        index = index if isinstance(index, tuple) else (index, slice(None))
        row, column = index
        if isinstance(row, slice) and isinstance(column, slice):
            return SharedMatrix(self.shared[index], self.rows[row], self.columns[column])
        if isinstance(row, slice) or isinstance(column, slice):
            return dense(self)[index]
        return self.shared[index] * self.rows[row] * self.columns[column]

    def __matmul__(self, x: Array) -> Array:
        if x.ndim == 1:
            return x @ self.T
        return self.rows[:, None] * (self.shared @ (self.columns[:, None] * x))

    def __rmatmul__(self, x: Array) -> Array:
        return ((x * self.rows) @ self.shared) * self.columns

    @staticmethod
    def below(matrices: Sequence[SharedMatrix]) -> SharedMatrix:
        """Matrices below one another, which hear the same signal and so have the same s."""
        shared = jnp.concatenate([one.shared for one in matrices])
        rows = jnp.concatenate([one.rows for one in matrices])
        return SharedMatrix(shared, rows, matrices[0].columns)


def is_shared(node: Any) -> bool:
    return isinstance(node, SharedMatrix)


def dense(node: Any) -> Any:
    """The numbers of a shared matrix; anything else as it is."""
    if not is_shared(node):
        return node
    return node.shared * node.rows[:, None] * node.columns


def where_exists(exists: Any, matrix: Any) -> Any:
    """A matrix with 0 where there is no synapse."""
    if is_shared(matrix):
        return SharedMatrix(where_exists(exists, matrix.shared), matrix.rows, matrix.columns)
    return jnp.where(exists, matrix, 0)
