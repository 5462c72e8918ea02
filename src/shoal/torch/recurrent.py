"""From cells to a layer over sequences: the module that every neuron of this package is.

The parameters are gathered by their names in the shared layout, and `shoal.unrolled` runs the
plan over them. Whatever transforms modules (torch.func, parametrisations, hooks) therefore sees
plain tensors and plain operations; `shoal.torch.loops` says which loops PyTorch sees as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from shoal.torch.cells import LSTMCell
from shoal.torch.initialise import draw
from shoal.torch.inputs import as_state, check_elapsed, like, unbatched
from shoal.torch.neuron import Neuron
from shoal.torch.places import matched, misfit, places
from shoal.unrolled.inputs import as_sequences
from shoal.unrolled.memory import MixedMemory
from shoal.unrolled.plans import stack_of
from shoal.unrolled.stack import PROJECTION, Layer, Stack, run_stack
from shoal.wiring_copy import copy_wiring, is_wiring
from shoal.wirings import Wiring

MakeCell = Callable[[int], Neuron]


def record(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor, from its `locals()`."""
    return {name: v for name, v in arguments.items() if name not in ("self", "__class__")}


class Recurrent(nn.Module):
    """A recurrent layer over sequences.

    `output, hx = rnn(input, hx=None, timespans=None, *, mask=None)`
    """

    def __init__(self, kind: str, make: MakeCell, arguments: dict[str, Any]):
        super().__init__()
        options = {name: arguments.pop(name) for name in ("device", "dtype")}
        if is_wiring(arguments["units"]) and not isinstance(arguments["units"], Wiring):
            arguments["units"] = copy_wiring(arguments["units"], arguments["input_size"])
        self.kind, self.batch_first = kind, arguments["batch_first"]
        self.return_sequences = arguments["return_sequences"]
        self.use_mixed = arguments.get("mixed_memory", False)
        self.proj_size, self.dropout = arguments["proj_size"], arguments["dropout"]
        self.wiring_or_units = arguments["units"]
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"`dropout` must be at least 0 and below 1, got {self.dropout!r}.")
        self._arguments = {k: v for k, v in arguments.items() if k != "batch_first"}
        self.plan = stack_of(kind, self._arguments)
        self._make(make, arguments["initializer"], options)
        _follow_cells(self)
        self.register_load_state_dict_post_hook(_follow_cells)

    def _load_from_state_dict(self, state_dict, prefix, *rest) -> None:
        """As PyTorch does it; of weights that do not fit it says in words what was expected."""
        if (told := misfit(self, state_dict, prefix)) is not None:
            rest[-1].append(told)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _make(self, make: MakeCell, initializer, options: dict) -> None:
        self._places = places(self.plan)
        for place in self._places:
            size = self.plan.places()[place.name].input_size
            self.add_module(f"rnn_cell{place.suffix}", make(size))
            if self.use_mixed:
                memory = LSTMCell(size, self.state_size, initializer=initializer, **options)
                self.add_module(f"lstm{place.suffix}", memory)
        self.fc = nn.Identity()
        if self.proj_size is not None:
            self.fc = nn.Linear(self.plan.layers[-1].output_size, self.proj_size, **options)
            self._draw_projection(initializer)

    def _draw_projection(self, initializer) -> None:
        for entry in PROJECTION:
            draw(getattr(self.fc, entry.name), entry, initializer)

    def reset_parameters(self) -> None:
        """Draws every parameter anew."""
        initializer = self._arguments["initializer"]
        for module in self.children():
            if isinstance(module, Neuron):
                module.reset_parameters(initializer)
        if self.proj_size is not None:
            self._draw_projection(initializer)

    @property
    def input_size(self) -> int:
        """Features of the input."""
        return self.plan.input_size

    @property
    def state_size(self) -> int:
        """Neurons of one cell."""
        return self.plan.state_size

    @property
    def output_size(self) -> int:
        """Features of the output: both directions, after the projection."""
        return self.plan.output_size

    @property
    def wiring(self) -> Wiring | None:
        """The first cell's wiring, built, if it has one."""
        return self.rnn_cell.plan.wiring  # type: ignore[union-attr]

    @property
    def synapse_count(self) -> int:
        """Synapses between neurons, over all cells; a dense cell has one for every pair."""
        cells = self.plan.places().values()
        return sum(c.state_size**2 if c.wiring is None else c.wiring.synapse_count for c in cells)

    @property
    def arguments(self) -> dict[str, Any]:
        """What makes this layer again in any framework: `kind`, and the arguments of its class."""
        dtype = str(next(self.parameters()).dtype).removeprefix("torch.")
        return {"kind": self.kind, **self._arguments, "dtype": dtype}

    def layout(self) -> dict[str, Tensor]:
        """The learned parameters by the names that every framework and file of ours shares."""
        found: dict[str, Tensor] = {}
        for place in self._places:
            cell = self._module("rnn_cell", place)
            inner = place.name + ("cell.params." if self.use_mixed else "params.")
            found |= {inner + name: value for name, value in cell.learned().items()}
            if self.use_mixed:
                memory = self._module("lstm", place).learned()
                found |= {f"{place.name}memory.{name}": value for name, value in memory.items()}
        if self.proj_size is not None:
            found |= {f"stack.projection.{e.name}": getattr(self.fc, e.name) for e in PROJECTION}
        return found

    @torch.no_grad()
    def load_layout(self, weights: Mapping[str, Any]) -> None:
        """Copies weights by the names of `layout()`: tensors, or arrays of any framework.

        Dropout rates, which bundles keep beside the weights, may be among them.

        Raises:
            ValueError: for names that are missing or unknown and for other shapes, with nothing
                changed.
        """
        rates = {name: value for name, value in weights.items() if name.endswith(".rate.value")}
        rest = {name: value for name, value in weights.items() if name not in rates}
        own = self._slots()
        for name, tensor in matched(self.layout(), rest).items():
            own[name].copy_(tensor.reshape(own[name].shape))
        for name, value in rates.items():
            self._set_rate(name, float(value))

    def _slots(self) -> dict[str, Tensor]:
        """The parameters themselves, in ncps's shapes, by their names in the layout."""
        found: dict[str, Tensor] = {}
        for name in self.layout():
            if name.startswith("stack.projection."):
                found[name] = getattr(self.fc, name.rpartition(".")[2])
                continue
            place = next(p for p in self._places if name.startswith(p.name))
            memory = name.startswith(f"{place.name}memory.")
            module = self._module("lstm" if memory else "rnn_cell", place)
            found[name] = module._at(module.path(name.rpartition(".")[2]))
        return found

    def _set_rate(self, name: str, rate: float) -> None:
        place = next((p for p in self._places if name.startswith(p.name)), None)
        if place is None:
            self.dropout = rate
        elif hasattr(cell := self._module("rnn_cell", place), "backbone_dropout"):
            cell.backbone_dropout = rate

    def _module(self, name: str, place) -> Any:
        return getattr(self, name + place.suffix)

    def _params(self) -> dict[str, Tensor]:
        """What the plan computes with, by place and name."""
        params = self.layout()
        for place in self._places:
            for name, value in self._module("rnn_cell", place).taken().items():
                constant = name.startswith("_")
                inner = "cell.params." if self.use_mixed and not constant else "params."
                inner = "" if self.use_mixed and constant else inner
                params[place.name + inner + name] = value
        return params

    def forward(
        self,
        input: Tensor,
        hx: Any = None,
        timespans: Any = None,
        *,
        mask: Any = None,
    ) -> tuple[Tensor, Any]:
        """Run over sequences.

        Args:
            input: (batch, time, input_size), (time, batch, input_size) with `batch_first=False`,
                or (time, input_size).
            hx: what an earlier call returned: (batch, state_size), a pair (h, c) with
                `mixed_memory`; None starts from zero.
            timespans: the time that elapsed before each observation: a number, (time,),
                (batch, time), or either with a trailing 1; (time, batch) with
                `batch_first=False`; None means 1.
            mask: False where there is no observation, shaped as timespans. Such a step leaves the
                state as it was, its timespan is dropped, and its output is 0.

        Returns:
            The output, (batch, time, output_size), or (batch, output_size) with
            `return_sequences=False`: the last unmasked one. Then the state after the last
            observation: the cell's, or a tuple over layers, each of them a pair over directions.
            Without a batch axis in the input there is none in either.

        Raises:
            ValueError: for shapes that do not fit, and for negative timespans that can be seen.
        """
        return self._run(self.return_sequences, input, hx, timespans, mask)

    def last_output(self, input: Tensor, hx=None, timespans=None, *, mask=None) -> Tensor:
        """The last unmasked output alone, whatever `return_sequences` says."""
        return self._run(False, input, hx, timespans, mask)[0]

    def _run(self, whole: bool, input, hx, timespans, mask, compiled=None):
        params = self._params()
        first = next(iter(params.values()))
        x = like(first, input)
        timespans = None if timespans is None else like(first, timespans)
        mask = None if mask is None else torch.as_tensor(mask, device=x.device).bool()
        given = as_sequences(
            torch, x, timespans, mask, input_size=self.input_size, batch_first=self.batch_first
        )
        batch, time = given.x.shape[:2]
        if time == 0:
            raise ValueError(f"`input` must have at least one observation, got {tuple(x.shape)}.")
        if timespans is not None and not self.plan.layers[0].forward.signed_time:
            check_elapsed(given.timespans)
        state = self.plan.initial_state(x.new_zeros, batch)
        if hx is not None:
            state = as_state(like(first, hx), state, given.batched, self.use_mixed)
        output, state = run_stack(
            torch,
            self.plan,
            params,
            whole,
            given.x,
            given.timespans,
            given.mask,
            state,
            dropout=self._drop if self.training and self.dropout else None,
            drops=self._drops if self.training else None,
            compiled=compiled,
        )
        if not given.batched:
            return output[0], unbatched(state)
        if whole and not self.batch_first:
            output = output.transpose(0, 1)
        return output, state

    def _drop(self, place: str, output: Tensor) -> Tensor:
        return nn.functional.dropout(output, self.dropout)

    def _drops(self, name: str, cell: Any, shape: tuple[int, int]) -> list[Tensor] | None:
        place = next(place for place in self._places if place.name == name)
        drops = getattr(self._module("rnn_cell", place), "drops", None)
        return None if drops is None else drops(*shape)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.wiring_or_units!r}"


def _follow_cells(module: Recurrent, _: Any = None) -> None:
    """The stack of what the cells are now: a checkpoint may have brought other synapses."""
    cells = {p.name: module._module("rnn_cell", p).plan for p in module._places}
    layers = []
    for number, layer in enumerate(module.plan.layers):
        own = {d: cells[f"stack.layers.{number}.{d}."] for d in layer.directions()}
        if module.use_mixed:
            own = {direction: MixedMemory(cell) for direction, cell in own.items()}
        layers.append(Layer(**own))
    module.plan = Stack(tuple(layers), module.plan.proj_size, module.plan.residual)
    wiring, units = module.wiring, module._arguments["units"]
    if isinstance(units, Wiring) and units.build(module.input_size) != wiring:
        module._arguments["units"] = wiring
