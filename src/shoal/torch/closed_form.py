"""The CfC cells as PyTorch computes them fastest: the whole sequence in `closed_form_loop`.

What that loop does not know (mode "pure", backbones of gelu or silu, dropped backbones, numbers of
few digits, autocast) runs step by step, as `shoal.unrolled` says.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shoal.equations import cfc as equation
from shoal.torch import closed_form_loop
from shoal.torch.closed_form_steps import ACTIVATIONS, MODES, Sequence
from shoal.unrolled import cfc, wired_cfc


class ClosedFormCell(cfc.CfCCell):
    """A CfC cell without a wiring."""

    def run(self, xp, params, x, timespans, mask, state, drops=None, compiled=None):
        activation = "sigmoid" if self.activation in cfc.TANH else self.activation
        known = not self.backbone_layers or activation in ACTIVATIONS
        fits = known and self.mode in MODES and drops is None and compiled is None
        if not (fits and cfc.folds(xp, x, equation.first(xp, params, self.mode)[0])):
            return super().run(xp, params, x, timespans, mask, state, drops, compiled)
        maps = [part for pair in self._maps(xp, params, True) for part in pair]
        active = None if mask is None else mask.T[..., None]
        given = Sequence(x.transpose(0, 1), timespans.T[..., None], state, active)
        activation = activation if self.backbone_layers else "sigmoid"
        h = closed_form_loop.every(given, maps, self.mode, activation)
        return h.transpose(0, 1), h[-1]


class ClosedFormWiredCell(wired_cfc.WiredCfCCell):
    """A CfC cell with a wiring; layer k does step t at tick t + k."""

    def run(self, xp, params, x, timespans, mask, state, drops=None, compiled=None):
        fits = self.mode in MODES and compiled is None
        if not (fits and cfc.folds(xp, x, params["layer_0_ff1_weight"])):
            return super().run(xp, params, x, timespans, mask, state, drops, compiled)
        behind, last = len(self.neurons) - 1, x.shape[1] - 1
        weight, constants = self._joined(xp, params, fold=True)
        of_h, of_x = weight.split([self.state_size, self.input_size], 1)
        x = torch.nn.functional.pad(x.transpose(0, 1), (0, 0, 0, 0, 0, behind))
        given = Sequence(x, self._late(timespans.T), state, self._active(mask, x))
        maps = [torch.cat([of_x, of_h], 1), constants["bias"]]
        h = closed_form_loop.every(given, maps, self.mode, "sigmoid")
        after = [h[last + k, :, start:end] for k, (start, end) in enumerate(self.spans)]
        motor = self.spans[-1][0]
        outputs = h[behind:, :, motor : motor + self.output_size]
        return outputs.transpose(0, 1), torch.cat(after, -1)

    def _late(self, steps: Tensor, empty: bool = False) -> Tensor:
        """(time, batch) as (ticks, batch, units); around it its first and last, or False."""
        behind, late = len(self.neurons) - 1, []
        first, last = steps[:1], steps[-1:]
        if empty:
            first = last = torch.zeros_like(first)
        for k, count in enumerate(self.neurons):
            moved = torch.cat([first.expand(k, -1), steps, last.expand(behind - k, -1)])
            late.append(moved[..., None].expand(-1, -1, count))
        return torch.cat(late, -1)

    def _active(self, mask: Tensor | None, x: Tensor) -> Tensor | None:
        """Where a layer has a step to do; what it does after its last one is not looked at."""
        if mask is not None:
            return self._late(mask.T, empty=True)
        behind = len(self.neurons) - 1
        if behind == 0:
            return None
        begins = [k for k, count in enumerate(self.neurons) for _ in range(count)]
        ticks = torch.arange(behind, device=x.device)[:, None, None]
        return ticks >= torch.tensor(begins, device=x.device)
