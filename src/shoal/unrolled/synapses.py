"""The conductances of an LTC, summed for every neuron after them: one tanh and one matrix product.

    pull_j = Σᵢ W_ij·erev_ij,   conductance_j = Σᵢ W_ij,   W_ij = ½w·(1 + tanh(gain·v_i − offset))

Both sums are linear in the tanh, so that the activity of all synapses, side by side, goes through
one matrix (synapses, 2·units) which holds ½w·erev and ½w; what the 1 adds is a constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shoal.equations import ltc
from shoal.unrolled.arrays import add_matmul
from shoal.wirings import Wiring

NAMES = ("w", "sigma", "mu", "erev")


@dataclass(frozen=True)
class Synapses:
    """The synapses among the neurons, or, with the prefix "sensory_", those from the inputs."""

    wiring: Wiring
    prefix: str = ""

    @cached_property
    def matrix(self) -> np.ndarray:
        """(before, after), nonzero where there is a synapse."""
        return getattr(self.wiring, f"{self.prefix}adjacency_matrix")

    def buffers(self) -> dict[str, np.ndarray]:
        """Where each synapse is in a matrix, which it comes from, and which it goes to."""
        sources, targets = np.nonzero(self.matrix)
        before, after = self.matrix.shape
        return {
            f"_{self.prefix}where": sources * after + targets,
            f"_{self.prefix}before": sources == np.arange(before)[:, None],
            f"_{self.prefix}after": targets[:, None] == np.arange(after),
        }

    def constants(self, xp, params) -> dict:
        """What `sums` needs, from positive parameters and buffers; "sum" is the constant part."""
        where = params[f"_{self.prefix}where"]
        chosen = (params[self.prefix + name].reshape(-1)[where] for name in NAMES)
        gain, offset, half_pull, half = ltc.fold(*chosen)
        before, after = params[f"_{self.prefix}before"], params[f"_{self.prefix}after"]
        pulls, halves = (
            xp.where(after, part[:, None], xp.zeros_like(part[:, None]))
            for part in (half_pull, half)
        )
        sums = xp.concatenate([pulls, halves], axis=1)
        return {
            f"{self.prefix}gain": xp.where(before, gain, xp.zeros_like(gain)),
            f"{self.prefix}offset": -offset,
            f"{self.prefix}sums": sums,
            f"{self.prefix}sum": sums.sum(0),
        }

    def open(self, xp, constants, before):
        """tanh of every synapse, (batch, synapses), from the activity before it, (batch, n)."""
        gain, offset = constants[f"{self.prefix}gain"], constants[f"{self.prefix}offset"]
        return xp.tanh(add_matmul(xp, offset, before, gain))

    def sums(self, xp, constants, before):
        """[pull, conductance], (batch, 2·units), without the constant part."""
        return self.open(xp, constants, before) @ constants[f"{self.prefix}sums"]
