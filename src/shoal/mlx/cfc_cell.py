"""CfC cells that take a sequence as a whole; what they learn is that of `shoal.unrolled`."""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx

from shoal.equations import cfc
from shoal.mlx.cfc_run import Form, Given, run
from shoal.unrolled.cfc import TANH, CfCCell
from shoal.unrolled.wired_cfc import WiredCfCCell


@dataclass(frozen=True)
class WholeCfCCell(CfCCell):
    """A dense CfC; `regular` says that every elapsed time is 1."""

    regular: bool = False

    def run(self, xp, params, x, timespans, mask, state, drops=None, compiled=None):
        layers = self.backbone_layers
        activation = TANH.get(self.activation) if layers else (1.0, 1.0)
        if self.mode == "pure" or layers > 1 or drops or activation is None:
            return super().run(xp, params, x, timespans, mask, state, drops, compiled)
        outside, inside = activation
        heads = heads_of(*cfc.stacked_heads(xp, params, self.mode), self.regular)
        first = tuple(inside * part for part in cfc.first(xp, params, self.mode))
        first, heads = (first, (outside * heads[0], heads[1])) if layers else (heads, (None, None))
        seen = project(xp.swapaxes(x, 0, 1), first[0][:, : self.input_size], first[1])
        elapsed = None if self.regular else xp.swapaxes(timespans, 0, 1)[..., None]
        active = None if mask is None else xp.swapaxes(mask, 0, 1)[..., None]
        form = Form(self.mode == "no_gate", bool(layers), not self.regular, mask is None)
        weight = mx.contiguous(first[0][:, self.input_size :])
        after = run(form, Given(seen, state, weight, *heads, elapsed, active))
        return xp.swapaxes(after, 0, 1), after[-1]


@dataclass(frozen=True)
class WholeWiredCfCCell(WiredCfCCell):
    """A wired CfC, its layers side by side; `regular` says that every elapsed time is 1."""

    regular: bool = False

    def run(self, xp, params, x, timespans, mask, state, drops=None, compiled=None):
        if self.mode == "pure":
            return super().run(xp, params, x, timespans, mask, state, drops, compiled)
        weight, constants = self._joined(xp, params, False)
        weight, bias = heads_of(weight, constants["bias"], self.regular)
        n, behind, steps = self.state_size, len(self.neurons) - 1, x.shape[1]
        x = mx.pad(xp.swapaxes(x, 0, 1), [(0, behind), (0, 0), (0, 0)])
        seen = project(x, weight[:, n:], bias)
        elapsed = None if self.regular else self._staggered(xp, xp.swapaxes(timespans, 0, 1))
        exists = mx.ones((steps, 1), mx.bool_) if mask is None else xp.swapaxes(mask, 0, 1)
        everywhere = mask is None and not behind
        active = None if everywhere else self._staggered(xp, exists)
        rest = min(behind, steps) if mask is None else None
        rest = None if rest is not None and 2 * rest > steps + behind else rest
        form = Form(self.mode == "no_gate", False, not self.regular, everywhere, rest)
        first = mx.contiguous(weight[:, :n])
        after = run(form, Given(seen, state, first, elapsed=elapsed, active=active))
        motor = self.spans[-1][0]
        outputs = xp.swapaxes(after[behind:], 0, 1)[..., motor : motor + self.output_size]
        return outputs, after[-1]


def heads_of(weight: mx.array, bias: mx.array, regular: bool) -> tuple[mx.array, mx.array]:
    """The heads as a run takes them: the gate's halved, and added where elapsed times are 1.

    >>> weight, bias = heads_of(mx.ones((4, 2)), mx.ones(4), True)
    >>> weight.shape, bias.tolist()
    ((3, 2), [1.0, 1.0, 1.0])
    """
    n = bias.shape[0] // 4

    def gate(part):
        halves = 0.5 * part[2 * n : 3 * n], 0.5 * part[3 * n :]
        return (halves[0] + halves[1],) if regular else halves

    parts = (mx.concatenate([part[: 2 * n], *gate(part)]) for part in (weight, bias))
    return tuple(parts)  # pyright: ignore


def project(x: mx.array, weight: mx.array, bias: mx.array) -> mx.array:
    """x Wᵀ + b, W lying in memory as it is read."""
    return x @ mx.contiguous(weight.T) + bias
