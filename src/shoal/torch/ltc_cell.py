"""The LTC cell: one observation at a time, with the names of `ncps.torch`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shoal.equations import ltc as equation
from shoal.torch.cfc_cell import redrawn
from shoal.torch.membrane import MembraneCell
from shoal.torch.neuron import Neuron
from shoal.unrolled import ltc
from shoal.wiring_copy import copy_wiring
from shoal.wirings import Wiring


class LTCCell(Neuron):
    """A liquid time-constant cell.

        cm·dv/dt = gleak·(vleak − v) + Σ W·(erev − v) + Σ S·(sensory_erev − v)

    with synapses W = w·σ(sigma·(v_before − mu)) among the neurons, and S from the inputs; see
    `shoal.equations.ltc`.

    Args:
        wiring: a `shoal.wirings.Wiring`, or one of `ncps`.
        in_features: features of an observation; None where the wiring was built for them.
        input_mapping: of every feature before the synapses: "affine" w·x + b, "linear" w·x, None.
        output_mapping: of every motor neuron, likewise.
        ode_unfolds: steps of the solver for every observation.
        epsilon: added to the conductance.
        implicit_param_constraints: keep gleak, cm and w positive by a softplus; False learns them
            as they are: call `apply_weight_constraints` after every step of the optimiser.
        solver: "semi_implicit" (stable for every elapsed time), "euler" or "rk4".
        dtype, device: of the parameters.

    Raises:
        ValueError: for unknown names, a wiring of another number of inputs, or one without any.

    >>> from shoal.wirings import FullyConnected
    >>> cell = LTCCell(FullyConnected(8, 4), 3)
    >>> output, v = cell(torch.ones(5, 3), torch.zeros(5, 8), 0.5)
    >>> output.shape, v.shape
    (torch.Size([5, 4]), torch.Size([5, 8]))
    """

    cm: Any

    def __init__(
        self,
        wiring: Wiring,
        in_features: int | None = None,
        input_mapping: str | None = "affine",
        output_mapping: str | None = "affine",
        ode_unfolds: int = 6,
        epsilon: float = 1e-8,
        implicit_param_constraints: bool = False,
        *,
        solver: str = "semi_implicit",
        dtype=None,
        device=None,
    ):
        super().__init__()
        wiring = copy_wiring(wiring, in_features)
        if wiring.input_dim is None:
            raise ValueError(
                "the wiring does not know its number of inputs; give `in_features`, or build it."
            )
        kind = MembraneCell if solver == "semi_implicit" else ltc.LTCCell
        plan = kind(
            wiring.input_dim,
            wiring,
            input_mapping=input_mapping,
            output_mapping=output_mapping,
            unfolds=ode_unfolds,
            solver=solver,
            epsilon=epsilon,
            implicit_param_constraints=implicit_param_constraints,
        )
        self._adopt(plan, device)
        self._make(device, dtype)
        for name, matrix in self._masks().items():
            mask = torch.as_tensor(matrix, dtype=self.cm.dtype, device=device)
            self.register_buffer(name, mask)
        self.reset_parameters()
        self.register_load_state_dict_post_hook(_adopt_masks)

    def _masks(self) -> dict[str, np.ndarray]:
        return {
            "sparsity_mask": np.abs(self.wiring.adjacency_matrix),
            "sensory_sparsity_mask": np.abs(self.wiring.sensory_adjacency_matrix),
        }

    @property
    def wiring(self) -> Wiring:
        """The wiring, built."""
        return self.plan.wiring  # type: ignore[return-value]

    @property
    def sensory_size(self) -> int:
        return self.input_size

    @property
    def motor_size(self) -> int:
        return self.output_size

    @property
    def synapse_count(self) -> int:
        """Synapses among the neurons."""
        return self.wiring.synapse_count

    @property
    def sensory_synapse_count(self) -> int:
        """Synapses from the inputs."""
        return self.wiring.sensory_synapse_count

    @torch.no_grad()
    def apply_weight_constraints(self) -> None:
        """Clips gleak, cm and the weights at 0 (cm at epsilon), unless a softplus keeps them there.

        >>> from shoal.wirings import FullyConnected
        >>> cell = LTCCell(FullyConnected(2), 1)
        >>> _ = cell.w.data.fill_(-1.0)
        >>> cell.apply_weight_constraints()
        >>> cell.w.sum().item()
        0.0
        """
        plan: Any = self.plan
        if plan.implicit_param_constraints:
            return
        params = {name: self._at(name) for name in equation.POSITIVE}
        for name, value in equation.project(torch, params, plan.epsilon).items():
            params[name].copy_(value)

    def forward(
        self, inputs: Tensor, states: Tensor, elapsed_time: Any = 1.0
    ) -> tuple[Tensor, Tensor]:
        """The motor neurons' output and the next state, (batch, units).

        Args:
            inputs: (batch, in_features).
            states: (batch, units).
            elapsed_time: a number, (batch,) or (batch, 1).
        """
        return self._advance(inputs, states, elapsed_time)


def _adopt_masks(cell: LTCCell, _: Any) -> None:
    """Synapses as a checkpoint has them: what its masks silence or let through."""
    found = {name: getattr(cell, name).cpu().numpy() for name in cell._masks()}
    if all((found[name] == own).all() for name, own in cell._masks().items()):
        return
    for name, mask in found.items():
        if not np.isin(mask, (0, 1)).all():
            raise ValueError(f"`{name}` of a checkpoint must hold 0 and 1 only.")
    wiring = cell.wiring
    inner = redrawn(found["sparsity_mask"] != 0, wiring.adjacency_matrix)
    sensory = redrawn(found["sensory_sparsity_mask"] != 0, wiring.sensory_adjacency_matrix)
    roles = wiring.roles if len(wiring.layers) > 1 else None
    new = Wiring(inner, sensory, wiring.output_dim, roles)
    plan: Any = cell.plan
    cell._adopt(replace(plan, wiring=new), cell.cm.device)
