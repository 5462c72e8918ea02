"""CfC without a wiring, for loops over time; the equation is `shoal.equations.cfc`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shoal.equations import cfc
from shoal.equations.activations import find_activation
from shoal.equations.arrays import split
from shoal.equations.checks import require_positive
from shoal.unrolled.arrays import linear
from shoal.unrolled.cell import Cell


@dataclass(frozen=True)
class CfCCell(Cell):
    """The state is h, (batch, units), and so is the output."""

    signed_time: ClassVar[bool] = True
    wiring: ClassVar[None] = None

    input_size: int
    units: int
    mode: str = "default"
    activation: str = "lecun_tanh"
    backbone_units: int = 128
    backbone_layers: int = 1

    def __post_init__(self):
        find_activation(self.activation)
        require_positive(input_size=self.input_size, units=self.units)
        cfc.check_backbone(self.backbone_units, self.backbone_layers)
        cfc.heads(self.mode)

    @property
    def state_size(self) -> int:
        return self.units

    @property
    def output_size(self) -> int:
        return self.units

    def table(self):
        return cfc.table(self.mode, self.backbone_layers)

    def sizes(self):
        sizes = self.input_size, self.units, self.backbone_units, self.backbone_layers
        return cfc.dimensions(*sizes)

    def begin(self, xp, params, x, timespans, drops=None):
        weight, bias = cfc.first(xp, params, self.mode)
        seen = linear(xp, xp.swapaxes(x, 0, 1), weight[:, : self.input_size], bias)
        constants = dict(params) | {"of_h": weight[:, self.input_size :].T}
        if self.backbone_layers:
            constants["heads"], constants["heads_bias"] = cfc.stacked_heads(xp, params, self.mode)
        given = seen, xp.swapaxes(timespans, 0, 1)[..., None]
        return constants, (*given, *(drops or ()))

    def step(self, xp, constants, state, given):
        seen, elapsed, *drops = given
        pre = seen + state @ constants["of_h"]
        if self.backbone_layers:
            activation = find_activation(self.activation)
            z = cfc.backbone(xp, constants, pre, activation, drops or None)
            pre = linear(xp, z, constants["heads"], constants["heads_bias"])
        parts = split(xp, pre, len(cfc.heads(self.mode)))
        hidden = cfc.update(xp, self.mode, parts, elapsed, constants)
        return hidden, hidden
