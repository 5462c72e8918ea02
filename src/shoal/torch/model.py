"""A member as a module: elapsed times scaled, a recurrent layer, a head that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from shoal.equations import elapsed
from shoal.equations.outputs import Categorical, Normal, check_head, count_numbers, interpret
from shoal.torch.cfc import CfC
from shoal.torch.ctgru import CTGRU
from shoal.torch.ctrnn import CTRNN
from shoal.torch.gru import GRU
from shoal.torch.initialise import draw
from shoal.torch.inputs import like
from shoal.torch.lstm import LSTM
from shoal.torch.ltc import LTC
from shoal.torch.places import as_tensor, matched
from shoal.torch.recurrent import Recurrent
from shoal.unrolled.member import MemberPlan
from shoal.unrolled.stack import PROJECTION
from shoal.wirings import Wiring

NEURONS: dict[str, Any] = {
    "cfc": CfC,
    "ltc": LTC,
    "ctrnn": CTRNN,
    "ctgru": CTGRU,
    "lstm": LSTM,
    "gru": GRU,
}
_JAX_ONLY = ("tolerance",)  # of the adaptive solver

Prediction = Tensor | Normal | Categorical


class Head(nn.Module):
    """A linear map to an answer of any shape.

    Args:
        in_size: features of what it is given.
        shape: of one answer: (horizon, targets), (targets,) or (classes,).
        likelihood: "point" gives a tensor, "normal" a `Normal` whose std is softplus(·) + 0.001,
            "categorical" a `Categorical` over the last axis.
        initializer: of the weight, a name or function; None means Xavier-uniform.
        dtype, device: of the parameters.

    Raises:
        ValueError: for an unknown likelihood, or sizes below one.

    >>> Head(4, (26, 1), "normal")(torch.ones(8, 4)).mean.shape
    torch.Size([8, 26, 1])
    """

    def __init__(
        self,
        in_size: int,
        shape: Sequence[int],
        likelihood: str = "point",
        *,
        initializer=None,
        dtype=None,
        device=None,
    ):
        super().__init__()
        self.in_size, self.likelihood = in_size, likelihood
        self.shape = check_head(in_size, shape, likelihood)
        self.initializer = initializer
        numbers = count_numbers(self.shape, likelihood)
        self.weight = nn.Parameter(torch.empty(numbers, in_size, dtype=dtype, device=device))
        self.bias = nn.Parameter(torch.empty(numbers, dtype=dtype, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the weight anew; the bias is 0."""
        for entry in PROJECTION:
            draw(getattr(self, entry.name), entry, self.initializer)

    def forward(self, features: Tensor) -> Prediction:
        """The answer to (..., in_size)."""
        numbers = nn.functional.linear(features, self.weight, self.bias)
        return interpret(torch, numbers, self.shape, self.likelihood)


class TimeScaling(nn.Module):
    """What a neuron sees of elapsed times; the scales are those of `shoal.equations.elapsed`.

    Args:
        kind: raw, log, normalised, zscore or bounded.
        mean, std: of the training data's elapsed times, in their unit.
    """

    def __init__(self, kind: str = "raw", *, mean: float = 1.0, std: float = 1.0):
        super().__init__()
        elapsed.check(kind, "", True)
        self.register_buffer("kind", torch.tensor(elapsed.KINDS.index(kind), dtype=torch.int32))
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("std", torch.tensor(float(std)))

    def forward(self, timespans: Tensor) -> Tensor:
        """The scaled times."""
        mean, std = (buffer.to(timespans.dtype) for buffer in (self.mean, self.std))
        return elapsed.scaled(torch, timespans, self.kind, mean, std)


class SequenceModel(nn.Module):
    """A member: sequences in, one answer for each of them out.

        prediction = head(last unmasked output of rnn(x, time_scaling(Δt)))

    Args:
        rnn: a neuron such as `CfC`; its own `return_sequences` does not matter.
        head: what answers; its `in_size` is the neuron's `output_size`.
        time_scaling: what the neuron sees of the elapsed times; None leaves them as they are.
        feature_mask: 1 for every feature that the neuron sees, 0 for those it does not,
            (features,); None shows it all.

    Raises:
        ValueError: where head and neuron do not fit.

    >>> model = SequenceModel(CfC(3, 8), Head(8, (2,)))
    >>> model(torch.ones(4, 10, 3), torch.ones(4, 10)).shape
    torch.Size([4, 2])
    """

    feature_mask: Tensor | None

    def __init__(
        self,
        rnn: Recurrent,
        head: Head,
        time_scaling: TimeScaling | None = None,
        feature_mask: Any = None,
    ):
        super().__init__()
        if head.in_size != rnn.output_size:
            raise ValueError(
                f"`head` must take the neuron's output_size = {rnn.output_size} features, got "
                f"in_size = {head.in_size}; make it with Head({rnn.output_size}, ...)."
            )
        self.rnn, self.head = rnn, head
        self.time_scaling = TimeScaling() if time_scaling is None else time_scaling
        mask = None if feature_mask is None else torch.tensor(feature_mask, dtype=torch.float32)
        self.register_buffer("feature_mask", mask)

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> SequenceModel:
        """A new model, with fresh parameters, from what `shoal.neurons.describe` or a bundle says.

        Raises:
            ValueError: for an unknown kind, or arguments that it does not have.

        >>> description = {"kind": "gru", "input_size": 3, "units": 4, "output_shape": [2]}
        >>> SequenceModel.from_description(description).head.shape
        (2,)
        """
        options = {k: v for k, v in description.items() if k not in _JAX_ONLY}
        kind = options.pop("kind", None)
        if kind not in NEURONS:
            raise ValueError(f"`kind` must be one of {', '.join(NEURONS)}; got {kind!r}.")
        shape, likelihood = options.pop("output_shape"), options.pop("likelihood", "point")
        time = dict(options.pop("time_scaling", None) or {})
        seen = options.pop("feature_mask", None)
        wiring = options.pop("wiring", None)
        if wiring is not None:
            options["units"] = Wiring.from_dict(wiring)
        options["dtype"] = getattr(torch, str(options.pop("dtype", "float32")))
        try:
            rnn = NEURONS[kind](**options)
        except TypeError as error:
            raise ValueError(f"a model of kind {kind!r} cannot be built: {error}") from error
        elapsed.check(time.get("kind", "raw"), kind, rnn.plan.layers[0].forward.signed_time)
        head = Head(rnn.output_size, shape, likelihood, dtype=options["dtype"])
        known = {k: v for k, v in time.items() if k in ("kind", "mean", "std")}
        return cls(rnn, head, TimeScaling(**known), seen)

    @property
    def plan(self) -> MemberPlan:
        """What the model is, without its tensors."""
        drops = self.rnn.arguments.get("backbone_dropout") is not None
        return MemberPlan(self.rnn.plan, self.head.shape, self.head.likelihood, drops)

    def layout(self) -> dict[str, Tensor]:
        """The learned parameters by the names that every framework and file of ours shares."""
        found = {f"rnn.{name}": value for name, value in self.rnn.layout().items()}
        return found | {f"head.params.{e.name}": getattr(self.head, e.name) for e in PROJECTION}

    @torch.no_grad()
    def load_layout(self, weights: Mapping[str, Any]) -> None:
        """Copies weights by the names of `layout()`: tensors, or arrays of any framework.

        Dropout rates, the numbers of the time scaling and the feature mask, which bundles keep
        beside the weights, may be among them.

        Raises:
            ValueError: for names that are missing or unknown and for other shapes, with nothing
                changed.
        """
        scaling = self.time_scaling
        frozen = {f"time_scaling.{n}.value": getattr(scaling, n) for n in ("kind", "mean", "std")}
        if self.feature_mask is not None:
            frozen["feature_mask.value"] = self.feature_mask
        rates = {name: value for name, value in weights.items() if name.endswith(".rate.value")}
        rest = {k: v for k, v in weights.items() if k not in rates and k not in frozen}
        tensors = matched(self.layout(), rest)
        own = {k.removeprefix("rnn."): v for k, v in tensors.items() if k.startswith("rnn.")}
        self.rnn.load_layout(own | {k.removeprefix("rnn."): v for k, v in rates.items()})
        for entry in PROJECTION:
            getattr(self.head, entry.name).copy_(tensors[f"head.params.{entry.name}"])
        for name in frozen.keys() & weights.keys():
            frozen[name].copy_(as_tensor(weights[name]))

    def forward(self, input: Tensor, timespans: Any = None, *, mask: Any = None) -> Prediction:
        """Predict.

        Args:
            input: encoded features, in any shape that the neuron takes.
            timespans: raw elapsed times, in any shape that the neuron takes; None means 1.
            mask: False where there is no observation.

        Returns:
            A tensor, `Normal` or `Categorical` of shape (batch, *head.shape).
        """
        first = self.head.weight
        seen = self.time_scaling(like(first, 1.0 if timespans is None else timespans))
        if self.feature_mask is not None:
            input = input * self.feature_mask.to(input.dtype)
        return self.head(self.rnn.last_output(input, timespans=seen, mask=mask))
