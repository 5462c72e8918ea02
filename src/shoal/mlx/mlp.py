"""A member for rows as `mlx.nn.Module`s: a multi-layer perceptron with a head that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from shoal.mlx.initialise import initialise
from shoal.mlx.model import Head
from shoal.mlx.recurrent import as_dtype
from shoal.mlx.tree import Fixed, Group, Loads, by_path, replace
from shoal.unrolled.member_mlp import MLPPlan, answer, plan_of
from shoal.unrolled.stack import PROJECTION


class MLP(Loads):
    """Rows in, one answer for each of them out; the equations are in `shoal.unrolled.member_mlp`.

    Args:
        input_size: numbers in a row: features, or time times features.
        units: of every hidden layer.
        output_shape: of one answer, as of `Head`.
        num_layers: hidden layers.
        likelihood: "point", "normal" or "categorical", as of `Head`.
        activation: lecun_tanh, tanh, relu, gelu or silu.
        dropout: rate after every hidden layer, in training mode only.
        initializer: of the weights, a name or function; None means Xavier-uniform.
        feature_mask: 1 for every feature that is seen, 0 for those that are not; None shows all.
        dtype: float32, bfloat16 or float16, an MLX type or its name.

    Raises:
        ValueError: for a size below one, an unknown activation, initialiser or likelihood.

    >>> MLP(3, 16, (1,), likelihood="normal")(mx.ones((5, 3))).mean.shape
    (5, 1)
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        output_shape: Sequence[int],
        *,
        num_layers: int = 1,
        likelihood: str = "point",
        activation: str = "relu",
        dropout: float = 0.0,
        initializer=None,
        feature_mask: Any = None,
        dtype: mx.Dtype | str = mx.float32,
    ):
        super().__init__()
        shape = tuple(output_shape)
        plan = MLPPlan(input_size, units, shape, num_layers, likelihood, activation)
        options: dict[str, Any] = {"dtype": as_dtype(dtype), "initializer": initializer}
        self.layers = [
            Group(initialise(PROJECTION, {"inputs": inputs, "outputs": outputs}, **options))
            for inputs, outputs in plan.sizes
        ]
        self.head = Head(units, shape, likelihood, initializer=initializer, dtype=options["dtype"])
        self._facts = _Facts(plan, nn.Dropout(dropout) if dropout else None)
        if feature_mask is not None:
            self.feature_mask = Fixed(mx.array(feature_mask, mx.float32))

    @property
    def plan(self) -> MLPPlan:
        """What the member is, without its arrays."""
        return self._facts.plan

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> MLP:
        """A member with fresh parameters from a description, such as a bundle's group has.

        Raises:
            ValueError: for arguments that it does not have.
        """
        plan_of(description)
        return cls(**{name: value for name, value in description.items() if name != "kind"})

    def layout(self) -> dict[str, mx.array]:
        """The parameters by their names everywhere."""
        return by_path(self)

    def load_layout(self, found: Mapping[str, Any]) -> MLP:
        """Takes MLX or NumPy arrays by name, of any framework's member like this one.

        Raises:
            ValueError: for a name that is missing, left over, or of another shape; nothing changes.
        """
        replace(self, found)
        return self

    def __call__(self, x, timespans=None, *, mask=None):
        """Predict; of (batch, features) or (batch, time, features). Time is not looked at."""
        x = mx.array(x)
        seen = self.feature_mask.value.astype(x.dtype) if "feature_mask" in self else None
        return answer(mx, self.plan, by_path(self), x, seen, self._drop)

    def _drop(self, _: int, hidden: mx.array) -> mx.array:
        drop = self._facts.drop
        return drop(hidden) if drop is not None and self.training else hidden


class _Facts:
    """What is no array, out of the sight of MLX."""

    def __init__(self, plan: MLPPlan, drop: nn.Dropout | None):
        self.plan, self.drop = plan, drop
