"""A multi-layer perceptron as a member, over any array namespace: `shoal.neurons.MLP` without JAX.

    h⁰ = x, all of it side by side;   hˡ = act(Wˡ hˡ⁻¹ + bˡ);   prediction = head(hᴸ)

Its arrays have the names of the JAX member's: `layers.0.weight`, `layers.0.bias`, …,
`head.params.weight`, `head.params.bias` and, never trained, `feature_mask.value`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from shoal.equations.activations import find_activation
from shoal.equations.outputs import check_head, count_numbers, interpret
from shoal.unrolled.arrays import linear

_UNUSED = ("kind", "initializer", "dropout", "dtype", "feature_mask")  # of a description


@dataclass(frozen=True)
class MLPPlan:
    """What a member is, without its arrays; sizes as of `shoal.neurons.MLP`."""

    input_size: int
    units: int
    shape: tuple[int, ...]
    num_layers: int = 1
    likelihood: str = "point"
    activation: str = "relu"

    def __post_init__(self):
        for name in ("input_size", "units", "num_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}")
        find_activation(self.activation)
        object.__setattr__(self, "shape", check_head(self.units, self.shape, self.likelihood))

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of every hidden layer."""
        inputs = (self.input_size, *(self.units for _ in range(self.num_layers - 1)))
        return tuple((size, self.units) for size in inputs)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of everything learned, by name."""
        found: dict[str, tuple[int, ...]] = {}
        for number, (inputs, outputs) in enumerate(self.sizes):
            found[f"layers.{number}.weight"] = (outputs, inputs)
            found[f"layers.{number}.bias"] = (outputs,)
        numbers = count_numbers(self.shape, self.likelihood)
        return found | {"head.params.weight": (numbers, self.units), "head.params.bias": (numbers,)}


def plan_of(description: Mapping[str, Any]) -> MLPPlan:
    """The plan of a member from its description, as a bundle has it.

    Raises:
        ValueError: for arguments that it does not have, or that cannot be.

    >>> plan = plan_of({"kind": "mlp", "input_size": 6, "units": 4, "output_shape": [2]})
    >>> plan.shapes()["layers.0.weight"]
    (4, 6)
    """
    given = {name: value for name, value in description.items() if name not in _UNUSED}
    if "output_shape" not in given:
        raise ValueError("the description of a member needs `output_shape`.")
    shape = tuple(given.pop("output_shape"))
    try:
        return MLPPlan(shape=shape, **given)
    except TypeError as error:
        raise ValueError(f"an MLP cannot be built: {error}") from error


def answer(
    xp,
    plan: MLPPlan,
    params: Mapping[str, Any],
    x,
    feature_mask=None,
    dropout: Callable[[int, Any], Any] | None = None,
):
    """What a member predicts: an array, `Normal` or `Categorical` of shape (batch, *plan.shape).

    Args:
        xp: torch, mlx.core or numpy.
        plan: what the member is.
        params: what it learned, by name.
        x: encoded features, (batch, features) or (batch, time, features).
        feature_mask: (features,), 1 for what is seen.
        dropout: (layer, output) -> output, after every hidden layer.

    Raises:
        ValueError: x holds another number of values in a row.
    """
    hidden = x if feature_mask is None else x * feature_mask
    hidden = hidden.reshape(x.shape[0], prod(x.shape[1:]))
    if hidden.shape[-1] != plan.input_size:
        raise ValueError(
            f"`x` must have {plan.input_size} numbers in a row, got {tuple(x.shape)}; an MLP reads "
            "a fixed number of them"
        )
    act = find_activation(plan.activation)
    for number in range(plan.num_layers):
        weight, bias = params[f"layers.{number}.weight"], params[f"layers.{number}.bias"]
        hidden = act(xp, linear(xp, hidden, weight, bias))
        hidden = hidden if dropout is None else dropout(number, hidden)
    numbers = linear(xp, hidden, params["head.params.weight"], params["head.params.bias"])
    return interpret(xp, numbers, plan.shape, plan.likelihood)
