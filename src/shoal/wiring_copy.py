"""Wirings of other libraries, copied synapse by synapse and never drawn again."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from shoal.wirings import Wiring


def copy_wiring(wiring: Any, inputs: int | None = None) -> Wiring:
    """A wiring of `ncps`, or anything that looks like one; one of ours is given back.

    Args:
        wiring: built or not; never changed.
        inputs: builds what is not built yet for so many inputs, in its own way.

    Raises:
        ValueError: where it was built for another number of inputs.

    >>> import ncps.wirings
    >>> copy_wiring(ncps.wirings.AutoNCP(8, 2), 3) == copy_wiring(ncps.wirings.AutoNCP(8, 2), 3)
    True
    """
    if isinstance(wiring, Wiring):
        return wiring if inputs is None else wiring.build(inputs)
    if inputs is not None and not wiring.is_built():
        wiring = deepcopy(wiring)
        wiring.build(inputs)
    units = range(wiring.units)
    roles = [wiring.get_type_of_neuron(i) for i in units] if wiring.num_layers > 1 else None
    copied = Wiring(
        wiring.adjacency_matrix, wiring.sensory_adjacency_matrix, wiring.output_dim, roles
    )
    return copied if inputs is None else copied.build(inputs)


def is_wiring(units: Any) -> bool:
    """Whether `units` is a wiring and no number.

    >>> is_wiring(8)
    False
    """
    return isinstance(units, Wiring) or hasattr(units, "adjacency_matrix")
