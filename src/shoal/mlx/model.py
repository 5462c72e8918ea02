"""A member made of a neuron, as `mlx.nn.Module`s: elapsed times scaled, a neuron, a head.

    prediction = head(last unmasked output of rnn(x, time_scaling(Δt)))

As `shoal.SequenceModel` is in JAX, with the same parameters by the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from shoal.equations import elapsed
from shoal.equations.outputs import check_head, count_numbers, interpret
from shoal.mlx.baselines import GRU, LSTM
from shoal.mlx.cfc import CfC
from shoal.mlx.ctgru import CTGRU
from shoal.mlx.ctrnn import CTRNN
from shoal.mlx.initialise import initialise
from shoal.mlx.ltc import LTC
from shoal.mlx.recurrent import Recurrent, as_dtype
from shoal.mlx.tree import Fixed, Group, Loads, by_path, replace
from shoal.unrolled.arrays import linear
from shoal.unrolled.stack import PROJECTION

NEURONS: dict[str, type[Recurrent]] = {
    "cfc": CfC,
    "ltc": LTC,
    "ctrnn": CTRNN,
    "ctgru": CTGRU,
    "lstm": LSTM,
    "gru": GRU,
}


class Head(nn.Module):
    """A linear map to an answer of any shape.

    Args:
        in_size: features of what it is given.
        shape: of one answer: (horizon, targets), (targets,) or (classes,).
        likelihood: "point" gives an array, "normal" a `Normal` whose std is
            softplus(·) + 0.001, "categorical" a `Categorical` over the last axis.
        initializer: of the weight, a name or a function of `mlx.nn.init`; None means
            Xavier-uniform.
        dtype: float32, bfloat16 or float16, an MLX type or its name.

    Raises:
        ValueError: for an unknown likelihood, or sizes below one.

    >>> Head(4, (26, 1), "normal")(mx.ones((8, 4))).mean.shape
    (8, 26, 1)
    """

    def __init__(
        self,
        in_size: int,
        shape: Sequence[int],
        likelihood: str = "point",
        *,
        initializer=None,
        dtype: mx.Dtype | str = mx.float32,
    ):
        super().__init__()
        self.answer = _Answer(in_size, check_head(in_size, shape, likelihood), likelihood)
        numbers = count_numbers(self.answer.shape, likelihood)
        sizes = {"inputs": in_size, "outputs": numbers}
        options = {"dtype": as_dtype(dtype), "initializer": initializer}
        self.params = Group(initialise(PROJECTION, sizes, **options))

    @property
    def in_size(self) -> int:
        """Features of what it is given."""
        return self.answer.in_size

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one answer."""
        return self.answer.shape

    @property
    def likelihood(self) -> str:
        """What is answered: "point", "normal" or "categorical"."""
        return self.answer.likelihood

    def __call__(self, features: mx.array):
        numbers = linear(mx, features, self.params.weight, self.params.bias)
        return interpret(mx, numbers, self.shape, self.likelihood)


class _Answer:
    """Facts of a head, out of the sight of MLX, which takes tuples for state."""

    def __init__(self, in_size: int, shape: tuple[int, ...], likelihood: str):
        self.in_size, self.shape, self.likelihood = in_size, shape, likelihood


class TimeScaling(nn.Module):
    """What a neuron sees of the elapsed times; its numbers are saved, and never trained.

    Args:
        kind: raw, log, normalised, zscore or bounded; see `shoal.equations.elapsed`.
        mean: of the training data's elapsed times, in their unit.
        std: likewise.

    >>> TimeScaling("normalised", mean=2.0)(mx.array([1.0, 4.0])).tolist()
    [0.5, 2.0]
    """

    def __init__(self, kind: str = "raw", *, mean: float = 1.0, std: float = 1.0):
        super().__init__()
        elapsed.check(kind, "any", signed_time=True)
        self.kind = Fixed(mx.array(elapsed.KINDS.index(kind), mx.int32))
        self.mean, self.std = Fixed(mx.array(mean)), Fixed(mx.array(std))

    def __call__(self, timespans: mx.array) -> mx.array:
        numbers = (part.value.astype(timespans.dtype) for part in (self.mean, self.std))
        return elapsed.scaled(mx, timespans, self.kind.value, *numbers)


class SequenceModel(Loads):
    """A member: sequences in, one answer for each of them out.

    Args:
        rnn: a neuron such as `CfC`; its last unmasked output is what the head is given, so its
            own `return_sequences` does not matter.
        head: what answers; its `in_size` is the neuron's `output_size`.
        time_scaling: what the neuron sees of the elapsed times; None leaves them as they are.
        feature_mask: 1 for every feature that the neuron sees, 0 for those it does not,
            (features,); None shows it all.

    Raises:
        ValueError: where head and neuron do not fit.

    >>> from shoal.mlx import CfC
    >>> model = SequenceModel(CfC(3, 8), Head(8, (2,)), TimeScaling("log", mean=0.5))
    >>> model(mx.ones((4, 10, 3)), mx.ones((4, 10))).shape
    (4, 2)
    """

    def __init__(
        self,
        rnn: Recurrent,
        head: Head,
        time_scaling: TimeScaling | None = None,
        feature_mask: Any = None,
    ):
        super().__init__()
        expected = head.in_size
        if expected != rnn.output_size:
            raise ValueError(
                f"`head` must take the neuron's output_size = {rnn.output_size} features, got "
                f"in_size = {expected}; make it with Head({rnn.output_size}, ...)."
            )
        self.rnn, self.head = rnn, head
        self.time_scaling = TimeScaling() if time_scaling is None else time_scaling
        if feature_mask is not None:
            self.feature_mask = Fixed(mx.array(feature_mask, mx.float32))

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> SequenceModel:
        """A model with fresh parameters from a description, such as a bundle's group has.

        Raises:
            ValueError: for an unknown kind, or arguments that it does not have.

        >>> description = {"kind": "gru", "input_size": 3, "units": 4, "output_shape": [2]}
        >>> SequenceModel.from_description(description).head.shape
        (2,)
        """
        given = dict(description)
        kind, shape = given.pop("kind", None), given.pop("output_shape", None)
        if shape is None:
            raise ValueError("the description of a member needs `output_shape`.")
        likelihood = given.pop("likelihood", "point")
        time = dict(given.pop("time_scaling", None) or {})
        seen = given.pop("feature_mask", None)
        if kind not in NEURONS:
            raise ValueError(f"`kind` must be one of {', '.join(NEURONS)}; got {kind!r}.")
        rnn = NEURONS[kind].described(kind, given)
        signed = rnn.plan.layers[0].forward.signed_time
        elapsed.check(time.get("kind", "raw"), str(kind), signed)
        head = Head(rnn.output_size, shape, likelihood, dtype=rnn.dtype)
        return cls(rnn, head, TimeScaling(**time), seen)

    def layout(self) -> dict[str, mx.array]:
        """The parameters and the numbers of the time scaling, by their names everywhere."""
        return by_path(self)

    def load_layout(self, found: Mapping[str, Any]) -> SequenceModel:
        """Takes MLX or NumPy arrays by name, of any framework's model like this one.

        Raises:
            ValueError: for a name that is missing, left over, or of another shape; nothing changes.
        """
        replace(self, found)
        return self

    def __call__(self, x, timespans=None, *, mask=None):
        """Predict.

        Args:
            x: encoded features, (batch, time, features) or (time, features).
            timespans: raw elapsed times, in any shape that the neuron takes; None means 1.
            mask: False where there is no observation.

        Returns:
            An array, `Normal` or `Categorical` of shape (batch, *head.shape).
        """
        raw = 1.0 if timespans is None else timespans
        seen = self.time_scaling(mx.array(raw).astype(self.rnn.dtype))
        if "feature_mask" in self:
            x = mx.array(x)
            x = x * self.feature_mask.value.astype(x.dtype)
        return self.head(self.rnn.run(False, x, None, seen, mask)[0])
