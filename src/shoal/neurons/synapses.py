"""The synapses of an LTC as a list of those that exist, or as matrices.

In the list the batch is the innermost axis, v is (units, batch) and a synapse's parameters are
(synapses, 1), so that one step is: gather the activity before every synapse, one fused
element-wise pass, scatter its two results onto the neurons after it. It costs what the wiring has,
not units²; on a CPU it is faster than masked matrices even where every synapse exists, if there
are rows enough to fill the innermost axis. Where there are few, as in the share of a batch that
one of many members gets, or a single series, matrices are: their innermost axis is the units.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from shoal.equations import ltc
from shoal.wirings import Wiring

FEW_ROWS, DENSE = 4, 0.5  # measured: up to so many rows, at so large a share of all synapses


def prefers_matrices(wiring: Wiring, batch: Any) -> bool:
    """Whether matrices are faster than the list; with the open batch of an export they are not."""
    if not isinstance(batch, int):
        return False
    synapses = int(np.count_nonzero(wiring.adjacency_matrix))
    return batch <= FEW_ROWS and synapses >= DENSE * wiring.units**2


def matrix_forces(wiring: Wiring, params: dict[str, Array]):
    """Mapped inputs, (batch, inputs) -> v, (batch, units) -> (pull, conductance), alike."""
    matrices = wiring.adjacency_matrix, wiring.sensory_adjacency_matrix
    inner, sensory = (jnp.asarray(matrix != 0, params["w"].dtype) for matrix in matrices)
    return lambda x: ltc.matrix_forces(jnp, params, x, (inner, sensory))


def list_forces(wiring: Wiring, params: dict[str, Array]):
    """Mapped inputs, (inputs, batch) -> v, (units, batch) -> (pull, conductance), alike."""
    inner = _Synapses(wiring.adjacency_matrix, params, "")
    sensory = _Synapses(wiring.sensory_adjacency_matrix, params, "sensory_")
    leak = params["gleak"][:, None]

    def forces_at(x: Float[Array, "inputs batch"]):
        start = jnp.broadcast_to(leak, (wiring.units, x.shape[-1]))
        pull, conductance = sensory.add(x, start * params["vleak"][:, None], start)
        return lambda v: inner.add(v, pull, conductance)

    return forces_at


class _Synapses:
    """The synapses of one matrix as a list, sorted by target."""

    def __init__(self, adjacency: np.ndarray, params: dict[str, Array], prefix: str):
        self.targets, self.sources = np.nonzero(adjacency.T)
        names = ("w", "sigma", "mu", "erev")
        at = self.sources, self.targets
        self.constants = ltc.fold(*(params[prefix + name][at][:, None] for name in names))

    def add(self, before: Array, pull: Array, conductance: Array) -> tuple[Array, Array]:
        """Pull and conductance with what these synapses contribute."""
        before = before.at[self.sources].get(mode="promise_in_bounds")
        pulls, openness = ltc.synapses(jnp, before, *self.constants)
        options = {"mode": "promise_in_bounds", "indices_are_sorted": True}
        pull = pull.at[self.targets].add(pulls, **options)
        return pull, conductance.at[self.targets].add(openness, **options)
