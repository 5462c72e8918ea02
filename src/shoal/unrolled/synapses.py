"""The conductances of an LTC, summed for every neuron after them.

    pull_j = Σᵢ W_ij·erev_ij,   conductance_j = Σᵢ W_ij,   W_ij = w·σ(sigma·vᵢ − sigma·mu)

Synapses lie in rows, one for each neuron after them that has any, as long as the longest; places
that are left over have w = 0. The batch is the innermost axis: the activity before every synapse is
(rows, length, batch), and both sums are one batched matrix product. Where most places of
(rows, all before) are taken, rows hold all of them and nothing has to be looked up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shoal.equations.activations import sigmoid
from shoal.unrolled.arrays import batched_matmul, take
from shoal.wirings import Wiring

NAMES = ("w", "sigma", "mu", "erev")
DENSE = 0.7  # of all places, from which on all are computed
PLACES = 2**16  # time steps and synapses that are worked out at once for a whole sequence


@dataclass(frozen=True)
class Synapses:
    """The synapses among the neurons, or, with the prefix "sensory_", those from the inputs."""

    wiring: Wiring
    prefix: str = ""

    def buffers(self) -> dict[str, np.ndarray]:
        """For each place in the rows, where it is in a matrix, whether it exists, what it hears."""
        matrix = getattr(self.wiring, f"{self.prefix}adjacency_matrix") != 0
        before, after = matrix.shape
        rows = np.flatnonzero(matrix.any(0))
        rows = rows if rows.size else np.zeros(1, int)  # no synapse: a row of places left over
        length = max(1, matrix.sum(0).max())
        if length > DENSE * before:
            hears = np.broadcast_to(np.arange(before), (len(rows), before))
        else:
            hears = np.argsort(~matrix.T[rows], axis=1, kind="stable")[:, :length]
        found = {"where": hears * after + rows[:, None], "exists": matrix.T[rows[:, None], hears]}
        if length <= DENSE * before:
            found["hears"] = hears.reshape(-1)
        if len(rows) < after:  # where each neuron's row is; the others have one of zeros
            found["rows"] = np.full(after, len(rows))
            found["rows"][rows] = np.arange(len(rows))
        return {f"_{self.prefix}{name}": value for name, value in found.items()}

    def constants(self, xp, params) -> dict:
        """What `sums` needs, from positive parameters and buffers."""
        where = params[f"_{self.prefix}where"]
        flat = (params[self.prefix + name].reshape(-1) for name in NAMES)
        w, sigma, mu, erev = (
            take(xp, part, where.reshape(-1)).reshape(where.shape) for part in flat
        )
        w = xp.where(params[f"_{self.prefix}exists"], w, xp.zeros_like(w))
        found = {
            "sigma": sigma[..., None],
            "offset": (-sigma * mu)[..., None],
            "weights": xp.stack([w * erev, w], 1),
        }
        found |= {
            k: params[f"_{self.prefix}{k}"]
            for k in ("hears", "rows")
            if f"_{self.prefix}{k}" in params
        }
        return {self.prefix + name: value for name, value in found.items()}

    def sums(self, xp, constants, before):
        """Pull and conductance, (units, 2, batch), of the activity before, (n, batch)."""
        sigma, offset = constants[f"{self.prefix}sigma"], constants[f"{self.prefix}offset"]
        if f"{self.prefix}hears" in constants:
            before = take(xp, before, constants[f"{self.prefix}hears"])
            before = before.reshape(*sigma.shape[:2], -1)
        open_ = sigmoid(xp, sigma * before + offset)
        both = batched_matmul(xp, constants[f"{self.prefix}weights"], open_)
        if f"{self.prefix}rows" in constants:
            both = xp.concatenate([both, xp.zeros_like(both[:1])], axis=0)
            both = take(xp, both, constants[f"{self.prefix}rows"])
        return both

    def over_time(self, xp, constants, before):
        """The same, (units, 2, time, batch), of (n, time, batch)."""
        inputs, time, batch = before.shape
        rows, length, _ = constants[f"{self.prefix}sigma"].shape
        at_once = max(1, PLACES // (rows * length))
        parts = [
            self.sums(xp, constants, before[:, t : t + at_once].reshape(inputs, -1))
            for t in range(0, time, at_once)
        ]
        return xp.concatenate(parts, axis=-1).reshape(-1, 2, time, batch)
