"""A member for rows as a module: a multi-layer perceptron with a head that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from shoal.torch.initialise import draw
from shoal.torch.model import Head, Prediction
from shoal.torch.places import as_tensor, matched
from shoal.unrolled.member_mlp import MLPPlan, answer, plan_of
from shoal.unrolled.stack import PROJECTION

MASK = "feature_mask.value"


class MLP(nn.Module):
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
        dtype, device: of the parameters.

    Raises:
        ValueError: for a size below one, an unknown activation, initialiser or likelihood.

    >>> member = MLP(3, 16, (1,), likelihood="normal")
    >>> member(torch.ones(5, 3)).mean.shape, member(torch.ones(5, 1, 3)).mean.shape
    (torch.Size([5, 1]), torch.Size([5, 1]))
    """

    feature_mask: Tensor | None

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
        dtype=None,
        device=None,
    ):
        super().__init__()
        shape = tuple(output_shape)
        self.plan = MLPPlan(input_size, units, shape, num_layers, likelihood, activation)
        own: dict[str, Any] = {"dtype": dtype, "device": device}
        self.layers = nn.ModuleList(nn.Linear(*sizes, **own) for sizes in self.plan.sizes)
        self.head = Head(units, self.plan.shape, likelihood, initializer=initializer, **own)
        self.dropout, self.initializer = float(dropout), initializer
        mask = None if feature_mask is None else torch.tensor(feature_mask, dtype=torch.float32)
        self.register_buffer("feature_mask", mask)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the weights anew; the biases are 0."""
        for layer in self.layers:
            for entry in PROJECTION:
                draw(getattr(layer, entry.name), entry, self.initializer)
        self.head.reset_parameters()

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> MLP:
        """A new member, with fresh parameters, from what a bundle says.

        Raises:
            ValueError: for arguments that it does not have.
        """
        plan_of(description)
        options = {name: value for name, value in description.items() if name != "kind"}
        options["dtype"] = getattr(torch, str(options.pop("dtype", "float32")))
        return cls(**options)

    def layout(self) -> dict[str, Tensor]:
        """The learned parameters by the names that every framework and file of ours shares."""
        found: dict[str, Tensor] = {
            f"layers.{name}": value for name, value in self.layers.named_parameters()
        }
        return found | {f"head.params.{e.name}": getattr(self.head, e.name) for e in PROJECTION}

    @torch.no_grad()
    def load_layout(self, weights: Mapping[str, Any]) -> None:
        """Copies weights by the names of `layout()`: tensors, or arrays of any framework.

        The dropout rate and the feature mask, which bundles keep beside them, may be among them.

        Raises:
            ValueError: for names that are missing or unknown and for other shapes, with nothing
                changed.
        """
        rest = {k: v for k, v in weights.items() if k != MASK and not k.endswith(".rate.value")}
        for name, tensor in matched(self.layout(), rest).items():
            self.layout()[name].copy_(tensor)
        if self.feature_mask is not None and MASK in weights:
            self.feature_mask.copy_(as_tensor(weights[MASK]))

    def forward(self, input: Tensor, timespans: Any = None, *, mask: Any = None) -> Prediction:
        """Predict.

        Args:
            input: encoded features, (batch, features) or (batch, time, features).
            timespans, mask: not looked at.

        Returns:
            A tensor, `Normal` or `Categorical` of shape (batch, *head.shape).
        """
        seen = None if self.feature_mask is None else self.feature_mask.to(input.dtype)

        def drop(_: int, hidden: Tensor) -> Tensor:
            return nn.functional.dropout(hidden, self.dropout, self.training)

        return answer(torch, self.plan, self.layout(), input, seen, drop)
