"""The LTC cell as PyTorch computes it fastest: batched products over the box of its synapses.

Synapses are a matrix here, cut to the rows and columns that have any, with the batch innermost:

    s = σ(sigma·(v_before − mu))                    (after, before, batch)
    [pull, conductance] = [w·erev, w] · s           one batched product, (after, 2, batch)

What of it depends on the inputs alone is worked out for all steps at once; `membrane_loop` does
the rest.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from shoal.equations import ltc as equation
from shoal.torch import membrane_loop
from shoal.torch.membrane_loop import Box, Membrane
from shoal.unrolled import ltc


def box_of(matrix: np.ndarray) -> Box:
    """The smallest box around the entries that are not zero; one entry where there is none.

    >>> box_of(np.array([[0, 0, 0], [0, 1, 1]]))
    Box(before=slice(1, 2, None), after=slice(1, 3, None))
    """
    spans = []
    for axis in (1, 0):
        found = np.flatnonzero(matrix.any(axis))
        found = found if found.size else np.zeros(1, int)
        spans.append(slice(int(found[0]), int(found[-1]) + 1))
    return Box(*spans)


class MembraneCell(ltc.LTCCell):
    """An LTC cell for PyTorch; its solver is "semi_implicit"."""

    boxes: dict[str, Box]
    __slots__ = ("boxes",)  # what follows from the fields, and must be known when compiled

    def __post_init__(self):
        super().__post_init__()
        matrices = ("", "adjacency_matrix"), ("sensory_", "sensory_adjacency_matrix")
        boxes = {prefix: box_of(getattr(self.wiring, name)) for prefix, name in matrices}
        object.__setattr__(self, "boxes", boxes)

    def __reduce__(self):
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    def buffers(self) -> dict[str, np.ndarray]:
        return super().buffers() | {
            "_box": self._exists(""),
            "_sensory_box": self._exists("sensory_"),
        }

    def _exists(self, prefix: str) -> np.ndarray:
        matrix = getattr(self.wiring, f"{prefix}adjacency_matrix")
        return (matrix[self.boxes[prefix]] != 0).T.copy()

    def begin(self, xp, params, x, timespans, drops=None):
        params = equation.positive(torch, params) if self.implicit_param_constraints else params
        membrane = self._membrane(params, x, timespans)
        constants = {name: params[name] for name in ("output_w", "output_b") if name in params}
        return constants | membrane._asdict(), (membrane.base, membrane.elapsed)

    def step(self, xp, constants, state, given):
        membrane = Membrane(**{name: constants[name] for name in Membrane._fields})
        base, elapsed = given
        v = membrane_loop.advance(membrane, base, elapsed, state.T, self.unfolds, self.boxes[""]).T
        return equation.affine(constants, "output", v[:, : self.output_size]), v

    def run(self, xp, params, x, timespans, mask, state, drops=None, compiled=None):
        if compiled is not None:
            return super().run(xp, params, x, timespans, mask, state, drops, compiled)
        params = equation.positive(torch, params) if self.implicit_param_constraints else params
        membrane = self._membrane(params, x, timespans)
        mask = None if mask is None else mask.T
        v = membrane_loop.every(membrane, state.T, mask, self.unfolds, self.boxes[""])
        output = v[:, : self.output_size].permute(2, 0, 1)
        return equation.affine(params, "output", output), v[-1].T

    def _membrane(self, params, x: Tensor, timespans: Tensor) -> Membrane:
        elapsed = timespans.T / self.unfolds
        sensed = self._sensed(params, equation.affine(params, "input", x))
        cm = params["cm"][:, None]
        base = sensed * elapsed[:, None, None] + torch.stack([torch.zeros_like(cm), cm], 1)
        return Membrane(base, elapsed, cm, *self._cut(params, ""))

    def _sensed(self, params, x: Tensor) -> Tensor:
        """[pull, conductance + ε] without the inner synapses, (time, units, 2, batch)."""
        batch, time, inputs = x.shape
        box, gleak = self.boxes["sensory_"], params["gleak"]
        sigma, mu, sums = self._cut(params, "sensory_")
        heard = x.permute(2, 1, 0).reshape(inputs, time * batch)[box.before]
        heard = torch.bmm(sums, torch.sigmoid((heard - mu) * sigma))
        leak = torch.stack([gleak * params["vleak"], gleak + self.epsilon], 1)[..., None]
        leak = leak.expand(-1, -1, time * batch)
        reached = leak[box.after] + heard
        sensed = torch.cat([leak[: box.after.start], reached, leak[box.after.stop :]])
        return sensed.reshape(self.state_size, 2, time, batch).permute(2, 0, 1, 3)

    def _cut(self, params, prefix: str) -> tuple[Tensor, Tensor, Tensor]:
        """sigma and mu, (after, before, 1), and [w·erev, w], (after, 2, before), of a box."""
        w, sigma, mu, erev = (
            params[prefix + name][self.boxes[prefix]].T for name in ("w", "sigma", "mu", "erev")
        )
        w = torch.where(params[f"_{prefix}box"], w, torch.zeros_like(w))
        sums = torch.stack([w * erev, w], 1)
        return sigma[..., None].contiguous(), mu[..., None].contiguous(), sums
