"""From a stack of cells to an `mlx.nn.Module`: the call that every neuron shares.

`CfC`, `LTC`, `CTRNN`, `CTGRU`, `LSTM` and `GRU` are this one machine over their own cells: they
name their arguments, `shoal.unrolled` knows the cells and the loop over time, and this holds the
parameters, which lie in `stack` by the names of the layout that all frameworks share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import mlx.core as mx

from shoal.mlx.arrays import arrays
from shoal.mlx.cells import fast
from shoal.mlx.dropout import backbone_drops, drop
from shoal.mlx.initialise import as_dtype, start, type_name
from shoal.mlx.inputs import as_state, as_timespans, each
from shoal.mlx.tree import Group, Loads, by_path, grown, replace
from shoal.unrolled.cell import Cell
from shoal.unrolled.inputs import as_sequences
from shoal.unrolled.plans import stack_of
from shoal.unrolled.stack import Stack, run_stack
from shoal.wiring_copy import copy_wiring, is_wiring
from shoal.wirings import Wiring

_OURS = {"batch_first": True, "initializer": None, "dtype": mx.float32}


@dataclass(frozen=True)
class Recorded:
    """What a neuron was made with; no dict, which MLX would take for parameters."""

    items: tuple[tuple[str, Any], ...]


class Recurrent(Loads):
    """A recurrent layer over sequences; every neuron is one.

    `output, state = rnn(x, state=None, timespans=None, *, mask=None)`
    """

    def __init__(self, kind: str, arguments: Mapping[str, Any]):
        super().__init__()
        given = {k: v for k, v in arguments.items() if k not in ("self", "__class__")}
        given |= _neurons(given.pop("units", None), given.pop("wiring", None))
        own = {name: given.pop(name, default) for name, default in _OURS.items()}
        dtype, initializer = as_dtype(own["dtype"]), own["initializer"]
        self.plan: Stack = fast(stack_of(kind, given))
        self.regular = fast(stack_of(kind, given), regular=True)
        described = {"kind": kind, **given, "initializer": initializer, "dtype": type_name(dtype)}
        self.recorded = Recorded(tuple(described.items()))
        self.batch_first = own["batch_first"]
        self.return_sequences = given.get("return_sequences", True)
        self.dropout = _rate("dropout", given.get("dropout", 0.0))
        self.backbone_dropout = _rate("backbone_dropout", given.get("backbone_dropout") or 0.0)
        self.stack: Group = grown(start(self.plan, dtype, initializer)).stack  # pyright: ignore

    @classmethod
    def described(cls, kind: str, arguments: Mapping[str, Any]) -> Self:
        """A neuron from arguments as plain data, of which any may be missing."""
        rnn = cls.__new__(cls)
        Recurrent.__init__(rnn, kind, arguments)
        return rnn

    @property
    def arguments(self) -> dict[str, Any]:
        """The kind and arguments, with which a JAX neuron of the same structure can be made."""
        return dict(self.recorded.items)

    @property
    def input_size(self) -> int:
        """Features of x."""
        return self.plan.input_size

    @property
    def output_size(self) -> int:
        """Features of the output: both directions, after the projection."""
        return self.plan.output_size

    @property
    def state_size(self) -> int:
        """Neurons of one cell."""
        return self.plan.state_size

    @property
    def synapse_count(self) -> int:
        """Synapses between neurons, over all cells; a dense cell has one for every pair."""
        return sum(_synapses(cell) for cell in self.plan.places().values())

    @property
    def dtype(self) -> mx.Dtype:
        """Of the parameters, and so of the outputs."""
        return next(iter(by_path(self).values())).dtype

    def layout(self) -> dict[str, mx.array]:
        """The learned parameters by the names that every framework shares."""
        return by_path(self)

    def load_layout(self, found: Mapping[str, Any]) -> Recurrent:
        """Takes parameters, MLX or NumPy arrays by name, of any framework's neuron like this one.

        Raises:
            ValueError: for a name that is missing, left over, or of another shape; nothing changes.
        """
        replace(self, found)
        return self

    def initial_state(self, batch: int) -> Any:
        """The state before the first observation, for a batch: zeros."""
        return self.plan.initial_state(lambda *shape: mx.zeros(shape, self.dtype), batch)

    def __call__(self, x, state=None, timespans=None, *, mask=None):
        """Run over sequences.

        Args:
            x: observations, (batch, time, input), (time, batch, input) unless `batch_first`, or
                (time, input).
            state: what an earlier call returned; None starts from zero.
            timespans: the time that elapsed before each observation: a scalar, (time,),
                (batch, time), or either with a trailing 1; None means 1.
            mask: False where there is no observation, in the shapes of timespans. Such a step
                leaves the state as it was, its timespan is dropped, and its output is 0.

        Returns:
            The output, (batch, time, output), or (batch, output) with `return_sequences=False`:
            the last unmasked one. Then the state after the last observation: the cell's, or a
            tuple over layers, each of them a pair over directions. Without a batch axis in x
            there is none in either.

        Raises:
            ValueError: for shapes that do not fit, and for negative timespans unless they are an
                MLX array, which is not looked into.
        """
        return self.run(self.return_sequences, x, state, timespans, mask)

    def run(self, whole: bool, x, state=None, timespans=None, mask=None):
        """As a call, where `whole` takes the place of `return_sequences`."""
        dtype = self.dtype
        signed = all(cell.signed_time for cell in self.plan.places().values())
        timespans_given = timespans
        timespans = None if timespans is None else as_timespans(timespans, signed).astype(dtype)
        sequences = as_sequences(
            mx,
            mx.array(x).astype(dtype),
            timespans,
            None if mask is None else mx.array(mask).astype(mx.bool_),
            input_size=self.input_size,
            batch_first=self.batch_first,
        )
        x, timespans, mask, batched = sequences
        template = self.initial_state(x.shape[0])
        state = template if state is None else as_state(state, template, batched)
        output, state = run_stack(
            arrays,
            self.regular if timespans_given is None else self.plan,
            self.everything(),
            whole,
            x,
            timespans,
            mask,
            state,
            dropout=self._dropout(),
            drops=self._drops(dtype),
        )
        if not batched:
            return output[0], each(lambda array: array[0], state)
        return output if self.batch_first or not whole else mx.swapaxes(output, 0, 1), state

    def everything(self) -> dict[str, mx.array]:
        """Parameters and constants by place and name, constants in the parameters' type."""
        arrays, dtype = by_path(self, constants=True), self.dtype
        return {
            name: array.astype(dtype) if mx.issubdtype(array.dtype, mx.floating) else array
            for name, array in arrays.items()
        }

    def _dropout(self):
        if not (self.training and self.dropout):
            return None
        return lambda place, output: drop(output, self.dropout)

    def _drops(self, dtype: mx.Dtype):
        if not (self.training and self.backbone_dropout):
            return None
        return backbone_drops(self.backbone_dropout, dtype)

    def _extra_repr(self) -> str:
        sizes = f"input_size={self.input_size}, units={self.state_size}"
        return f"{sizes}, output_size={self.output_size}, synapses={self.synapse_count}"


def _neurons(units, wiring) -> dict[str, Any]:
    """How many there are, and the wiring if there is one, from either argument."""
    if is_wiring(units):
        wiring = copy_wiring(units)
    elif isinstance(wiring, Mapping):
        wiring = Wiring.from_dict(wiring)  # pyright: ignore
    return {"units": units if wiring is None else wiring.units, "wiring": wiring}


def _rate(name: str, rate: float) -> float:
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"`{name}` must be at least 0 and below 1, got {rate!r}.")
    return float(rate)


def _synapses(cell: Cell) -> int:
    return cell.state_size**2 if cell.wiring is None else int(cell.wiring.synapse_count)
