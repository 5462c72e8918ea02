"""A cell as facts and pure functions: its parameters by name, what to prepare once, one step.

    constants, given = cell.begin(xp, params, x, timespans)      once for a sequence
    output, state    = cell.step(xp, constants, state, given_t)  once for every observation

`params` maps the names of `table()`, and those of `buffers()`, to arrays of the namespace `xp`;
x is (batch, time, input), timespans are (batch, time), a state is an array, or nested tuples of
arrays, with the batch first. `constants` is a dict of arrays and `given` a tuple of arrays with
time first, so that a framework can compile `step` as a function of arrays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from shoal.equations.parameters import Parameter
from shoal.unrolled.arrays import unstack
from shoal.unrolled.quick import quick
from shoal.wirings import Wiring

Params = Mapping[str, Any]


class Cell(ABC):
    """One kind of recurrent neuron; subclasses are frozen dataclasses of their facts.

    `signed_time` says whether elapsed times below zero (a z-score) make sense to it; `prefix` is
    where its parameters are inside a layer, in the layout that all frameworks share.
    """

    signed_time: ClassVar[bool] = False
    prefix: ClassVar[str] = "params."

    input_size: int
    state_size: int
    output_size: int
    wiring: Wiring | None

    @abstractmethod
    def table(self) -> tuple[Parameter, ...]:
        """What it learns."""

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """A number for every dimension that the table names."""

    def matrices(self) -> dict[str, np.ndarray]:
        """What `FromWiring` starts refer to."""
        return {}

    def buffers(self) -> dict[str, np.ndarray]:
        """Constant arrays that the steps need, names beginning with "_"; never trained."""
        return {}

    def initial_state(self, zeros: Callable[..., Any], batch: int) -> Any:
        """The state before the first observation; `zeros(*shape)` makes its arrays."""
        return zeros(batch, self.state_size)

    def shown(self, xp, state) -> Any:
        """The hidden vector, (batch, units), that a state holds."""
        return state

    def showing(self, xp, state, hidden) -> Any:
        """The state changed so that it holds another hidden vector."""
        return hidden

    @abstractmethod
    def begin(self, xp, params: Params, x, timespans, drops=None) -> tuple[dict, tuple]:
        """What does not change, and what every step is given, each (time, batch, ...).

        `drops` is what multiplies each backbone layer, each (time, batch, width), or None.
        """

    @abstractmethod
    def step(self, xp, constants: dict, state, given: tuple) -> tuple[Any, Any]:
        """The output, (batch, output), and the next state."""

    def run(self, xp, params: Params, x, timespans, mask, state, drops=None, compiled=None):
        """Every output, (batch, time, output), and the last state.

        A masked step leaves the state as it was. `compiled` is a framework's way to make a
        function of arrays fast, used on the step.
        """
        constants, given = self.begin(xp, params, x, timespans, drops)

        def step(constants, state, given_t):
            return self.step(xp, constants, state, given_t)

        return loop(xp, compiled(step) if compiled else step, constants, state, given, mask)

    def single(self, xp, params: Params, x, elapsed, state, drops=None):
        """One observation: x (batch, input) and elapsed (batch,) to the output and next state."""
        xp = quick(xp)
        constants, given = self.begin(xp, params, x[:, None], elapsed[:, None], drops)
        return self.step(xp, constants, state, tuple(part[0] for part in given))


def loop(xp, step, constants: dict, state, given: tuple, mask=None):
    """`step` over time, the first axis of what is `given`; outputs (batch, time, output)."""
    steps = zip(*(unstack(xp, part) for part in given), strict=True)
    masks = None if mask is None else unstack(xp, xp.swapaxes(mask, 0, 1))
    outputs = []
    for t, given_t in enumerate(steps):
        output, new = step(constants, state, given_t)
        state = new if masks is None else keep(xp, masks[t], new, state)
        outputs.append(output)
    return xp.stack(outputs, 1), state


def keep(xp, mask, new, old):
    """The new state where `mask`, (batch,), is True, else the old one."""
    if isinstance(new, tuple):
        return tuple(keep(xp, mask, a, b) for a, b in zip(new, old, strict=True))
    return xp.where(mask.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def masked(xp, weight, exists):
    """The weight, 0 where it does not exist; `exists` is None where all of it does."""
    return weight if exists is None else xp.where(exists, weight, xp.zeros_like(weight))


def inside(params: Params, place: str) -> dict[str, Any]:
    """The parameters of a place, by what is left of their names."""
    return {k.removeprefix(place): v for k, v in params.items() if k.startswith(place)}
