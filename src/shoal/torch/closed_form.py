"""CfC cells as PyTorch computes them fastest: few, wide operations at every step.

Run one by one, operations cost more to start than to compute. Both tanh are therefore one call,
the time gate is one fused product and one sigmoid, the mixing one interpolation, and the constants
of lecun_tanh are inside the weights on either side of the backbone's tanh.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shoal.equations import cfc as equation
from shoal.equations.activations import find_activation
from shoal.unrolled import cfc, wired_cfc

_INSIDE, _OUTSIDE = 0.666, 1.7159  # of lecun_tanh


def update(mode: str, pre: Tensor, elapsed: Tensor, rates) -> Tensor:
    """The next h from all heads side by side, (batch, heads·N); see `shoal.equations.cfc`."""
    if mode == "pure":
        return equation.update(torch, mode, [pre], elapsed, rates)
    n = pre.shape[-1] // 4
    ends, time_a, time_b = pre.split([2 * n, n, n], -1)
    start, end = torch.tanh(ends).chunk(2, -1)
    gate = torch.sigmoid(torch.addcmul(time_b, time_a, elapsed))
    if mode == "no_gate":
        return torch.addcmul(start, gate, end)
    if gate.dtype != end.dtype:  # autocast
        return start + gate * (end - start)
    return torch.lerp(start, end, gate)


class ClosedFormCell(cfc.CfCCell):
    """A dense CfC for PyTorch."""

    def begin(self, xp, params, x, timespans, drops=None):
        constants, given = super().begin(xp, params, x, timespans, drops)
        if self._folds:
            constants["of_h"] = constants["of_h"] * _INSIDE
            constants["heads"] = constants["heads"] * _OUTSIDE
            given = (given[0] * _INSIDE, *given[1:])
        if self.backbone_layers:
            constants["heads"] = constants["heads"].T
        return constants, given

    def step(self, xp, constants, state, given):
        seen, elapsed, *drops = given
        pre = torch.addmm(seen, state, constants["of_h"])
        if self.backbone_layers:
            name = "tanh" if self._folds else self.activation
            z = equation.backbone(torch, constants, pre, find_activation(name), drops or None)
            pre = torch.addmm(constants["heads_bias"], z, constants["heads"])
        hidden = update(self.mode, pre, elapsed, constants)
        return hidden, hidden

    @property
    def _folds(self) -> bool:
        return self.backbone_layers == 1 and self.activation == "lecun_tanh"


class WiredClosedFormCell(wired_cfc.WiredCfCCell):
    """A wired CfC for PyTorch."""

    def _tick(self, xp):
        def tick(constants, hidden, given):
            seen, elapsed = given
            pre = torch.addmm(seen, hidden, constants["of_h"])
            return update(self.mode, pre, elapsed, constants)

        return tick
