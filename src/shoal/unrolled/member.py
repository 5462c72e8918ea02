"""A member made of a neuron, over any array namespace: `shoal.SequenceModel` without JAX.

    prediction = head(last unmasked output of rnn(x, time_scaling(Δt)))

Its arrays have the names of the JAX member's: `rnn.` and the layout of `shoal.unrolled.stack`,
`head.params.weight`, `head.params.bias`, and, never trained, `time_scaling.kind.value`,
`time_scaling.mean.value`, `time_scaling.std.value`, the dropout rates, and for a member that sees
some of the features only, `feature_mask.value`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shoal.equations import elapsed
from shoal.equations.outputs import check_head, count_numbers, interpret
from shoal.unrolled.arrays import cast, linear, zeros_like
from shoal.unrolled.cell import inside
from shoal.unrolled.inputs import as_sequences
from shoal.unrolled.plans import stack_of
from shoal.unrolled.stack import PROJECTION, Dropout, Drops, Stack, run_stack

FEATURE_MASK = "feature_mask.value"
TIME_SCALING = tuple(f"time_scaling.{name}.value" for name in ("kind", "mean", "std"))


@dataclass(frozen=True)
class MemberPlan:
    """What a member is, without its arrays: a stack of cells, and how its head answers."""

    stack: Stack
    shape: tuple[int, ...]
    likelihood: str = "point"
    drops_backbone: bool = False

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of everything learned, by name."""
        numbers = count_numbers(self.shape, self.likelihood)
        sizes = {"outputs": numbers, "inputs": self.stack.output_size}
        found = {f"rnn.{name}": shape for name, shape in self.stack.shapes().items()}
        return found | {f"head.params.{e.name}": e.sizes(sizes) for e in PROJECTION}

    def frozen(self) -> tuple[str, ...]:
        """The names of what a member has and never learns, all of them single numbers."""
        layers = [f"rnn.stack.layers.{n}.dropout.rate.value" for n in range(len(self.stack.layers))]
        inner = [f"rnn.{place}" for place in self.stack.places()] if self.drops_backbone else []
        cells = [
            place + ("cell." if cell.prefix == "" else "") + "dropout.rate.value"
            for place, cell in zip(inner, self.stack.places().values(), strict=False)
        ]
        return (*layers, *cells, *TIME_SCALING)

    def buffers(self) -> dict[str, np.ndarray]:
        """Constant arrays that the steps need, by name."""
        return {f"rnn.{name}": value for name, value in self.stack.buffers().items()}


def member_of(description: Mapping[str, Any]) -> MemberPlan:
    """The plan of a member from its description, as `shoal.neurons.describe` gives it.

    Raises:
        ValueError: for an unknown kind, arguments that it does not have, an answer that cannot be,
            or a time scaling that it cannot take.

    >>> plan = member_of({"kind": "gru", "input_size": 3, "units": 4, "output_shape": [2]})
    >>> plan.shapes()["head.params.weight"]
    (2, 4)
    """
    given = dict(description)
    kind = given.pop("kind", None)
    given.pop("feature_mask", None)  # is among the arrays
    if "output_shape" not in given:
        raise ValueError("the description of a member needs `output_shape`.")
    shape, likelihood = given.pop("output_shape"), given.pop("likelihood", "point")
    time = dict(given.pop("time_scaling", None) or {})
    stack = stack_of(str(kind), given)
    elapsed.check(time.get("kind", "raw"), str(kind), stack.layers[0].forward.signed_time)
    shape = check_head(stack.output_size, shape, likelihood)
    return MemberPlan(stack, shape, likelihood, given.get("backbone_dropout") is not None)


def answer(
    xp,
    plan: MemberPlan,
    params: Mapping[str, Any],
    x,
    timespans=None,
    mask=None,
    *,
    compiled: Callable | None = None,
    dropout: Dropout | None = None,
    drops: Drops | None = None,
):
    """What a member predicts: an array, `Normal` or `Categorical` of shape (batch, *plan.shape).

    Args:
        xp: torch, mlx.core or numpy.
        plan: what the member is.
        params: its arrays by name: learned, `time_scaling.*` and buffers.
        x: encoded features, (batch, time, features) or (time, features).
        timespans: raw elapsed times, an array of x's type in any shape that a neuron takes; None
            means 1.
        mask: False where there is no observation.
        compiled: makes a cell's step fast.
        dropout: (place, output) -> output, of every layer; places as of the stack.
        drops: (place, cell, (time, batch)) -> what multiplies the cell's backbone.
    """
    timespans = xp.ones_like(x[..., 0]) if timespans is None else timespans
    kind, mean, std = (params[name] for name in TIME_SCALING)
    numbers = (cast(xp, number, timespans) for number in (mean, std))
    seen = elapsed.scaled(xp, timespans, kind, *numbers)
    if FEATURE_MASK in params:
        x = x * cast(xp, params[FEATURE_MASK], x)
    given = as_sequences(xp, x, seen, mask, input_size=plan.stack.input_size)
    own = inside(params, "rnn.")
    state = plan.stack.initial_state(zeros_like(xp, given.x), given.x.shape[0])
    options: dict[str, Any] = {"dropout": dropout, "drops": drops, "compiled": compiled}
    sequences = given.x, given.timespans, given.mask
    last, _ = run_stack(xp, plan.stack, own, False, *sequences, state, **options)
    last = last if given.batched else last[0]
    numbers = linear(xp, last, params["head.params.weight"], params["head.params.bias"])
    return interpret(xp, numbers, plan.shape, plan.likelihood)
