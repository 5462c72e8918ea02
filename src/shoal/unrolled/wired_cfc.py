"""A wired CfC for loops over time: one backbone-less cell for each layer of the wiring.

Over a sequence the layers work side by side, layer k doing step t at tick t + k, as in
`shoal.neurons.wired_cfc`: one matrix product at each tick does every head of every layer. That
matrix, (heads·N, N + I) of [h, x], is filled from the layers' own weights. A single step takes its
rows and columns layer after layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from shoal.equations import cfc
from shoal.equations.arrays import split
from shoal.unrolled.arrays import add_matmul, linear, unstack
from shoal.unrolled.cell import Cell
from shoal.unrolled.cfc import doubled, folds, update_folded
from shoal.wirings import Wiring


@dataclass(frozen=True)
class WiredCfCCell(Cell):
    """The state is h, (batch, units), layer after layer; the output is the motor neurons.

    The wiring is built for `input_size`, if it was not. Parameters: `layer_0_ff1_weight` and so on.
    """

    signed_time: ClassVar[bool] = True

    input_size: int
    wiring: Wiring
    mode: str = "default"
    fully_recurrent: bool = True

    def __post_init__(self):
        object.__setattr__(self, "wiring", self.wiring.build(self.input_size))
        cfc.heads(self.mode)

    @property
    def state_size(self) -> int:
        return self.wiring.units

    @property
    def output_size(self) -> int:
        return self.wiring.output_dim

    @property
    def neurons(self) -> list[int]:
        """How many there are in each layer."""
        return [len(layer) for layer in self.wiring.layers]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Where each layer begins and ends in the state."""
        neurons = self.neurons
        return [(sum(neurons[:k]), sum(neurons[: k + 1])) for k in range(len(neurons))]

    def table(self):
        return tuple(
            replace(
                entry,
                name=f"layer_{k}_{entry.name}",
                shape=tuple(f"layer_{k}_{dimension}" for dimension in entry.shape),
            )
            for k in range(len(self.neurons))
            for entry in cfc.table(self.mode, 0)
        )

    def sizes(self):
        found, before = {}, self.input_size
        for k, neurons in enumerate(self.neurons):
            sizes = cfc.dimensions(before, neurons, backbone_layers=0)
            found |= {f"layer_{k}_{name}": size for name, size in sizes.items()}
            before = neurons
        return found

    def buffers(self):
        """For every entry of the joint matrix whether it exists, and where its weight is."""
        width = self.state_size + self.input_size
        where = np.zeros((len(cfc.heads(self.mode)), self.state_size, width), int)
        exists, used = np.zeros_like(where, bool), 0
        for k, (start, end) in enumerate(self.spans):
            for number, head in enumerate(cfc.heads(self.mode)):
                own = synapses(self.wiring, k, head, self.fully_recurrent) != 0
                at = np.ix_(range(start, end), self._heard(k))
                where[number][at] = used + np.arange(own.size).reshape(own.shape)
                exists[number][at] = own
                used += own.size
        return {"_where": where.reshape(-1, width), "_exists": exists.reshape(-1, width)}

    def begin(self, xp, params, x, timespans, drops=None):
        weight, constants = self._joined(xp, params, fold=False)
        bias, n, heads = constants["bias"], self.state_size, len(cfc.heads(self.mode))
        rows = weight.reshape(heads, n, -1)
        for k, (start, end) in enumerate(self.spans):
            first = self.spans[max(k - 1, 0)][0]
            own = rows[:, start:end, first:end].reshape(heads * (end - start), end - first)
            constants[f"of_h_{k}"] = own.T
            constants[f"bias_{k}"] = bias.reshape(heads, n)[:, start:end].reshape(-1)
        of_x = rows[:, : self.neurons[0], n:].reshape(-1, self.input_size)
        seen = linear(xp, xp.swapaxes(x, 0, 1), of_x, constants["bias_0"])
        return constants, (seen, xp.swapaxes(timespans, 0, 1)[..., None])

    def step(self, xp, constants, state, given):
        seen, elapsed = given
        layers: list = []
        for k, (start, end) in enumerate(self.spans):
            base = constants[f"bias_{k}"] if layers else seen
            heard = xp.concatenate([*layers[-1:], state[:, start:end]], axis=-1)
            pre = split(xp, add_matmul(xp, base, heard, constants[f"of_h_{k}"]), self._heads)
            rates = {name: constants[name][start:end] for name in self._rates}
            layers.append(cfc.update(xp, self.mode, pre, elapsed, rates))
        return layers[-1][:, : self.output_size], xp.concatenate(layers, axis=-1)

    def run(self, xp, params, x, timespans, mask, state, drops=None, compiled=None):
        fold = folds(xp, x, params["layer_0_ff1_weight"])
        weight, constants = self._joined(xp, params, fold)
        constants["of_h"] = weight[:, : self.state_size].T
        behind = len(self.neurons) - 1
        x = _late(xp, xp.swapaxes(x, 0, 1), 0, behind)
        seen = linear(xp, x, weight[:, self.state_size :], constants["bias"])
        given = seen, self._staggered(xp, xp.swapaxes(timespans, 0, 1))
        active = None if mask is None else self._staggered(xp, xp.swapaxes(mask, 0, 1))
        tick = self._tick(xp, update_folded if fold else cfc.update)
        tick = tick if compiled is None else compiled(tick)
        ticks, after = x.shape[0], []
        actives = [None] * ticks if active is None else unstack(xp, active)
        for t, given_t in enumerate(zip(*(unstack(xp, part) for part in given), strict=True)):
            new = tick(constants, state, given_t)
            if actives[t] is not None:
                state = xp.where(actives[t], new, state)
            else:
                state = self._at_work(xp, new, state, t, ticks)
            after.append(state)
        motor = self.spans[-1][0]
        outputs = xp.stack(after[behind:], 1)[..., motor : motor + self.output_size]
        return outputs, state

    @property
    def _heads(self) -> int:
        return len(cfc.heads(self.mode))

    @property
    def _rates(self) -> tuple[str, ...]:
        return ("w_tau", "A") if self.mode == "pure" else ()

    def _heard(self, layer: int) -> list[int]:
        """The columns of [h, x] that a layer's weights see, in their order."""
        own = list(range(*self.spans[layer]))
        if layer > 0:
            return list(range(*self.spans[layer - 1])) + own
        return [self.state_size + i for i in range(self.input_size)] + own

    def _joined(self, xp, params, fold: bool):
        """The joint matrix, and as constants its bias and the rates of mode "pure".

        With `fold` they are for `update_folded`.
        """

        def every(name):
            return [params[f"layer_{k}_{name}"] for k in range(len(self.neurons))]

        heads = cfc.heads(self.mode)
        weights = zip(*(every(f"{head}_weight") for head in heads), strict=True)
        flat = xp.concatenate([weight.reshape(-1) for layer in weights for weight in layer])
        exists = params["_exists"]
        chosen = flat[params["_where"].reshape(-1)].reshape(exists.shape)
        weight = xp.where(exists, chosen, xp.zeros_like(chosen))
        biases = [bias for head in heads for bias in every(f"{head}_bias")]
        bias = xp.concatenate(biases)
        if fold:
            weight, bias = doubled(xp, weight, bias, self.mode)
        constants = {"bias": bias}
        return weight, constants | {name: xp.concatenate(every(name)) for name in self._rates}

    def _tick(self, xp, update):
        def tick(constants, hidden, given):
            seen, elapsed = given
            pre = split(xp, add_matmul(xp, seen, hidden, constants["of_h"]), self._heads)
            return update(xp, self.mode, pre, elapsed, constants)

        return tick

    def _at_work(self, xp, new, old, tick: int, ticks: int):
        """The new state of the layers that have a step at this tick, the old one of the others."""
        behind = len(self.neurons) - 1
        steps = ticks - behind
        busy = [k for k in range(behind + 1) if 0 <= tick - k < steps]
        start, end = self.spans[busy[0]][0], self.spans[busy[-1]][1]
        if (start, end) == (0, self.state_size):
            return new
        return xp.concatenate([old[:, :start], new[:, start:end], old[:, end:]], axis=-1)

    def _staggered(self, xp, steps):
        """(time, batch) as (ticks, batch, neurons): each layer one tick behind the one before."""
        behind = len(self.neurons) - 1
        late = [_late(xp, steps, k, behind - k)[..., None] for k in range(behind + 1)]
        shape = late[0].shape[:-1]
        wide = [xp.broadcast_to(a, (*shape, n)) for a, n in zip(late, self.neurons, strict=True)]
        return xp.concatenate(wide, axis=-1)


def synapses(wiring: Wiring, layer: int, head: str, fully_recurrent: bool) -> np.ndarray:
    """Which weights of a head exist, (neurons, inputs + neurons), as zeros and ones.

    As `ncps` has it, a layer is fully recurrent and its time gates hear everything; otherwise
    every head has the wiring's synapses and no others.

    >>> from shoal.wirings import AutoNCP
    >>> synapses(AutoNCP(8, 2).build(3), 2, "ff1", fully_recurrent=True)
    array([[1, 1, 1, 1],
           [1, 0, 1, 1]], dtype=int8)
    """
    here = list(wiring.layers[layer])
    if layer == 0:
        heard = wiring.sensory_adjacency_matrix[:, here]
    else:
        heard = wiring.adjacency_matrix[np.ix_(wiring.layers[layer - 1], here)]
    own = np.ones((len(here), len(here)))
    if not fully_recurrent:
        own = wiring.adjacency_matrix[np.ix_(here, here)]
    elif head.startswith("time"):
        heard = np.ones_like(heard)
    return np.abs(np.concatenate([heard, own]).T).astype(np.int8)


def _late(xp, sequence, start: int, end: int):
    """A sequence, time first, with empty ticks before and after it."""
    empty = xp.zeros_like(sequence[:1])
    return xp.concatenate([empty] * start + [sequence] + [empty] * end, axis=0)
