"""CfC without a wiring, for loops over time; the equation is `shoal.equations.cfc`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shoal.equations import cfc
from shoal.equations.activations import find_activation, sigmoid
from shoal.equations.arrays import add_product, split
from shoal.equations.checks import require_positive
from shoal.unrolled.arrays import add_matmul, linear, mix
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
        fold = drops is None and folds(xp, x, cfc.first(xp, params, self.mode)[0])
        maps = self._maps(xp, params, fold)
        weight, bias = maps[0]
        seen = linear(xp, xp.swapaxes(x, 0, 1), weight[:, : self.input_size], bias)
        constants = {name: params[name] for name in cfc.RATES if name in params}
        constants["folded" if fold else "of_h"] = weight[:, self.input_size :].T
        for number, (weight, bias) in enumerate(maps[1:]):
            constants |= {f"weight_{number}": weight, f"bias_{number}": bias}
        given = seen, xp.swapaxes(timespans, 0, 1)[..., None]
        return constants, (*given, *(drops or ()))

    def step(self, xp, constants, state, given):
        seen, elapsed, *drops = given
        fold = "folded" in constants
        inside = fold and self.activation in TANH
        activation = sigmoid if inside else find_activation(self.activation)
        pre = add_matmul(xp, seen, state, constants["folded" if fold else "of_h"])
        for layer in range(self.backbone_layers):
            z = activation(xp, pre)
            z = z * drops[layer] if drops else z
            pre = linear(xp, z, constants[f"weight_{layer}"], constants[f"bias_{layer}"])
        parts = split(xp, pre, len(cfc.heads(self.mode)))
        hidden = (update_folded if fold else cfc.update)(xp, self.mode, parts, elapsed, constants)
        return hidden, hidden

    def _maps(self, xp, params, fold: bool) -> list[tuple]:
        """Weight and bias of every linear map, first that of [x, h], last that of all heads."""
        layers = range(self.backbone_layers)
        maps = [(params[f"backbone_{k}_weight"], params[f"backbone_{k}_bias"]) for k in layers]
        heads = cfc.stacked_heads(xp, params, self.mode)
        maps.append(doubled(xp, *heads, self.mode) if fold else heads)
        if not fold or self.activation not in TANH:
            return maps
        outside, inside = TANH[self.activation]
        for k in layers:
            weight, bias = maps[k]
            maps[k] = 2.0 * inside * weight, 2.0 * inside * bias
            weight, bias = maps[k + 1]
            maps[k + 1] = 2.0 * outside * weight, bias - outside * weight.sum(-1)
        return maps


# tanh(x) = 2σ(2x) − 1: what surrounds a sigmoid can be folded into the linear maps before and
# after it, and PyTorch computes a sigmoid on CPU many times faster than a tanh
TANH = {"tanh": (1.0, 1.0), "lecun_tanh": (1.7159, 0.666)}  # outside·tanh(inside·x)


def folds(xp, x, weight) -> bool:
    """Whether sigmoids pay, and products of x, (batch, time, n), are precise enough for them.

    Near 0, 2σ(2x) − 1 has the digits of 1. PyTorch's autocast may compute in another type than
    that of the arrays. In MLX a tanh is the faster one.
    """
    if xp.__name__ == "mlx.core":
        return False
    product = x[:1, 0] @ weight[:1, : x.shape[-1]].T
    return str(product.dtype).endswith(("float32", "float64"))


def doubled(xp, weight, bias, mode: str) -> tuple:
    """The weight and bias of all heads with those below a tanh doubled, for `update_folded`."""
    if mode == "pure":
        return weight, bias
    half = bias.shape[0] // 2  # ff1 and ff2
    both = (xp.concatenate([2.0 * part[:half], part[half:]], axis=0) for part in (weight, bias))
    return tuple(both)


def update_folded(xp, mode: str, pre, elapsed, params):
    """`cfc.update` of heads that were doubled."""
    if mode == "pure":
        return cfc.update(xp, mode, pre, elapsed, params)
    start, end, time_a, time_b = pre
    gate = sigmoid(xp, add_product(xp, time_b, time_a, elapsed))
    start, end = sigmoid(xp, start), sigmoid(xp, end)
    if mode == "no_gate":
        return 2.0 * add_product(xp, start, gate, end) - (1.0 + gate)
    return 2.0 * mix(xp, start, end, gate) - 1.0
