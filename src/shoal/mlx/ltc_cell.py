"""LTC's steps as MLX computes them fastest on a CPU: each neuron's synapses in a row of slots.

    a = tanh(gain·v_before − offset), (neurons, slots, batch);   [pull, conductance] = W a

There are as many slots as the neuron that hears most has synapses; the empty ones of the others
weigh nothing. The batch is the innermost axis, and W a is one small matrix product for each
neuron. It costs what the wiring has, and where every synapse exists it wastes nothing.
(`shoal.unrolled.synapses` is the form for fast matrix products, with one large matrix.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import mlx.core as mx
import numpy as np

from shoal.equations import ltc
from shoal.unrolled.ltc import LTCCell

NAMES = ("w", "sigma", "mu", "erev")
INDICES = ("before", "after", "hearing", "places")
CONSTANTS = (*INDICES, "gain", "offset", "weight")


@dataclass(frozen=True)
class Slots:
    """Where the synapses of a matrix, (before, after), are: in slots, (hearing, slots)."""

    matrix: np.ndarray
    prefix: str = ""

    @cached_property
    def hearing(self) -> np.ndarray:
        """The neurons that hear any."""
        return np.nonzero(np.any(self.matrix, 0))[0]

    @cached_property
    def exists(self) -> np.ndarray:
        """True where a synapse is."""
        count = (self.matrix != 0).sum(0)[self.hearing]
        return np.arange(count.max(initial=0)) < count[:, None]

    @cached_property
    def before(self) -> np.ndarray:
        """What is heard in each slot; 0 where it is empty."""
        found = np.zeros(self.exists.shape, int)
        found[self.exists] = np.nonzero(self.matrix[:, self.hearing].T)[1]
        return found

    @cached_property
    def after(self) -> np.ndarray:
        """(before, most): the flat slots where each is heard; one past the last where none is."""
        flat = np.where(self.exists, self.before, -1).reshape(-1)
        heard = [np.nonzero(flat == neuron)[0] for neuron in range(self.matrix.shape[0])]
        filled = np.full((len(heard), max(map(len, heard), default=0)), flat.size)
        for row, found in zip(filled, heard, strict=True):
            row[: len(found)] = found
        return filled

    @cached_property
    def places(self) -> np.ndarray:
        """Of every neuron its row among those that hear; one past the last where it is not."""
        rows = np.full(self.matrix.shape[1], len(self.hearing))
        rows[self.hearing] = np.arange(len(self.hearing))
        return rows

    @property
    def shared(self) -> bool:
        """Whether all hear the same, in the same slots."""
        return bool(self.exists.all() and (self.before == self.before[:1]).all())

    def buffers(self) -> dict[str, np.ndarray]:
        """The index arrays by name."""
        found = {
            "before": self.before.reshape(-1),
            "after": self.after,
            "where": self.before * self.matrix.shape[1] + self.hearing[:, None],
            "exists": self.exists,
            "hearing": self.hearing,
            "places": self.places,
        }
        return {f"_{self.prefix}{name}": value for name, value in found.items()}

    def constants(self, params) -> dict[str, mx.array]:
        """What `sums` needs, from positive parameters and buffers."""
        if not self.hearing.size:
            return {}
        own = {name: params[f"_{self.prefix}{name}"] for name in INDICES}
        where, exists = params[f"_{self.prefix}where"], params[f"_{self.prefix}exists"]
        chosen = (params[self.prefix + name].reshape(-1)[where] for name in NAMES)
        gain, offset, *halves = ltc.fold(*chosen)
        weight = mx.stack([mx.where(exists, half, mx.zeros_like(half)) for half in halves], 1)
        own |= {"gain": gain[..., None], "offset": offset[..., None], "weight": weight}
        return {self.prefix + name: array for name, array in own.items()}

    def sums(self, xp, constants, v):
        """[pull, conductance], (2, neurons, batch), from the activity of those before, (., batch).

        >>> slots = Slots(np.array([[0, 1], [0, 1]]))
        >>> one, none = mx.ones((1, 2, 1)), mx.zeros((1, 2, 1))
        >>> own = {name[1:]: mx.array(array) for name, array in slots.buffers().items()}
        >>> own |= {"gain": none, "offset": none, "weight": mx.ones((1, 2, 2))}
        >>> slots.sums(mx, own, mx.ones((2, 1)))[0].tolist()
        [[0.0], [2.0]]
        """
        if not self.hearing.size:
            return xp.zeros((2, self.matrix.shape[1], v.shape[1]), v.dtype)
        own = {name: constants[self.prefix + name] for name in CONSTANTS}
        if self.shared:
            heard = v
        else:
            heard = rows(v, own["before"], own["after"]).reshape(*self.exists.shape, -1)
        both = own["weight"] @ (1.0 + xp.tanh(own["gain"] * heard - own["offset"]))
        if self.hearing.size < self.matrix.shape[1]:
            both = rows(both, own["places"], own["hearing"][:, None])
        return xp.swapaxes(both, 0, 1)


@dataclass(frozen=True)
class SlottedLTCCell(LTCCell):
    """An LTC whose steps take slots; what it learns and answers is `LTCCell`'s."""

    @cached_property
    def slots(self) -> tuple[Slots, Slots]:
        """Among the neurons, and from the inputs."""
        wiring = self.wiring
        return Slots(wiring.adjacency_matrix), Slots(wiring.sensory_adjacency_matrix, "sensory_")

    def buffers(self):
        inner, sensory = self.slots
        return inner.buffers() | sensory.buffers()

    def begin(self, xp, params, x, timespans, drops=None):
        params = ltc.positive(xp, params) if self.implicit_param_constraints else dict(params)
        inner, sensory = self.slots
        time, batch = x.shape[1], x.shape[0]
        x = xp.swapaxes(ltc.affine(params, "input", x), 0, 1).reshape(time * batch, -1)
        heard = sensory.sums(xp, sensory.constants(params), x.T)
        base = xp.swapaxes(heard.reshape(2, self.state_size, time, batch), 0, 2)
        base = xp.swapaxes(base, 1, 2)  # (time, 2, neurons, batch)
        leak = xp.stack([params["gleak"] * params["vleak"], params["gleak"]])
        constants = inner.constants(params) | {"cm": params["cm"][:, None]}
        constants |= {name: params[name] for name in ("output_w", "output_b") if name in params}
        elapsed = xp.swapaxes(timespans, 0, 1)[:, None]
        return constants, (base + leak[..., None], elapsed)

    def step(self, xp, constants, state, given):
        base, elapsed = given

        def forces(v):
            pull, conductance = xp.split(base + self.slots[0].sums(xp, constants, v), 2)
            return pull[0], conductance[0]

        options = {"solver": self.solver, "unfolds": self.unfolds, "epsilon": self.epsilon}
        v = ltc.update(forces, state.T, elapsed, constants["cm"], **options).T
        return ltc.affine(constants, "output", v[:, : self.output_size]), v


@mx.custom_function
def rows(array: mx.array, chosen: mx.array, back: mx.array) -> mx.array:
    """Rows of an array; `back`, (rows, most), says where each went, one past the last for none.

    A row that is one past the last is 0. The gradient is gathered too, for MLX scatters slowly.
    """
    return mx.take(_with_zeros(array), chosen, axis=0)


@rows.vjp
def _rows_vjp(given, cotangent, chosen):
    _, chosen, back = given
    parts = mx.take(_with_zeros(cotangent), back, axis=0).sum(1)
    return parts, mx.zeros_like(chosen), mx.zeros_like(back)


def _with_zeros(array: mx.array) -> mx.array:
    return mx.concatenate([array, mx.zeros_like(array[:1])], axis=0)
