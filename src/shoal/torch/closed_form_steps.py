"""The loop over time of a CfC in PyTorch, as few, large operations.

Of a backbone of sigmoids, or none, every tanh being 2σ(2x) − 1 with all but the σ in the weights:

    z = σ(W₀·[x, h] + b₀),  z ← σ(W·z + b) …        start, end, time_a, time_b = W·z + b
    s, e, g = σ(start), σ(end), σ(time_a·Δt + time_b)
    m = s·(1 − g) + e·g          "default"          h = 2m − 1
    m = s + (e − ½)·g            "no_gate"

Forward, x's share is one product for all steps, and where Δt is one number, time_a·Δt + time_b is
one head. Backward, how h answers to the heads is worked out for all steps at once; a step is then
one product for each map, and the gradient of each weight is one product in the end.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MODES = ("default", "no_gate")
ACTIVATIONS = ("sigmoid", "relu")


class Sequence(NamedTuple):
    """What is heard, time first, and what came before."""

    x: Tensor  # (time, batch, inputs)
    elapsed: Tensor  # (time, batch, 1 or units)
    h: Tensor  # (batch, units), before the first step
    active: Tensor | None  # (steps, batch or 1, 1 or units): else h stays, in the first steps


class Form(NamedTuple):
    """What a cell does; its maps are weight and bias of [x, h], of each layer, of the heads."""

    mode: str
    activation: str
    merge: bool  # make one head of both time gates where the elapsed time is one number
    listen: bool = True  # give a gradient of x


class Trace(NamedTuple):
    """What the backward pass needs."""

    output: Tensor  # (time, batch, units)
    heads: Tensor  # room for (time, batch, 4·units): s, e, time_a, g; or without time_a
    layers: list[Tensor]  # (time, batch, width) of each


def unrolled(given: Sequence, maps: list[Tensor], form: Form) -> Tensor:
    """h after every step, (time, batch, units), in plain operations."""
    x, elapsed, h, active = given
    inputs, found = x.shape[-1], []
    seen = torch.nn.functional.linear(x, maps[0][:, :inputs], maps[1])
    of_h, activate = maps[0][:, inputs:].T, getattr(torch, form.activation)
    for t, (seen_t, elapsed_t) in enumerate(zip(seen.unbind(0), elapsed.unbind(0), strict=True)):
        pre = torch.addmm(seen_t, h, of_h)
        for weight, bias in zip(maps[2::2], maps[3::2], strict=True):
            pre = torch.nn.functional.linear(activate(pre), weight, bias)
        start, end, time_a, time_b = pre.chunk(4, -1)
        s, e = torch.sigmoid(start), torch.sigmoid(end)
        g = torch.sigmoid(torch.addcmul(time_b, time_a, elapsed_t))
        new = 2.0 * (s + (e - (s if form.mode == "default" else 0.5)) * g) - 1.0
        keeps = active is None or t >= len(active)
        h = new if keeps else torch.where(active[t], new, h)  # type: ignore[index]
        found.append(h)
    return torch.stack(found)


def forward(given: Sequence, maps: list[Tensor], form: Form) -> Trace:
    """`unrolled`, with what `backward` needs."""
    x, elapsed, h, active = given
    inputs, units = x.shape[-1], h.shape[-1]
    merged = form.merge and alike(elapsed)
    trace = room_for(given, maps)
    output, heads = trace.output, heads_of(trace, merged)
    if merged:
        maps = [*maps[:-2], *merge_gates(maps[-2], maps[-1], elapsed)]
    buffers = [*trace.layers, heads]
    of_x, of_h = maps[0][:, :inputs], maps[0][:, inputs:]
    flat, seen = x.flatten(0, 1), buffers[0].flatten(0, 1)
    torch.addmm(maps[1] - of_h.sum(1), flat, of_x.T, out=seen)
    of_m = (2.0 * of_h).T.contiguous()
    steps = [buffer.unbind(0) for buffer in buffers]
    inner = [(w.T.contiguous(), b) for w, b in zip(maps[2::2], maps[3::2], strict=True)]
    parts = [part.unbind(0) for part in heads.split(units, -1)]
    activate = getattr(torch, form.activation + "_")
    m, elapsed_t = (h + 1.0) * 0.5, elapsed.unbind(0)
    for t, new in enumerate(output.unbind(0)):
        pre = steps[0][t].addmm_(m, of_m)
        for buffer, (weight, bias) in zip(steps[1:], inner, strict=True):
            pre = torch.addmm(bias, activate(pre), weight, out=buffer[t])
        _open(pre, [part[t] for part in parts], None if merged else elapsed_t[t], units)
        _mix(form.mode, parts[0][t], parts[1][t], parts[-1][t], new)
        if active is not None and t < len(active):
            new.copy_(torch.where(active[t], new, m))
        m = new
    output.mul_(2.0).sub_(1.0)
    return trace


def room_for(given: Sequence, maps: list[Tensor]) -> Trace:
    """A trace without values."""

    def room(width: int) -> Tensor:
        return given.x.new_empty(*given.x.shape[:2], width)

    return Trace(room(given.h.shape[-1]), room(len(maps[-1])), [room(len(b)) for b in maps[1:-1:2]])


def heads_of(trace: Trace, merged: bool) -> Tensor:
    """The heads in their room, (time, batch, heads·units)."""
    time, batch, units = trace.output.shape
    width = (3 if merged else 4) * units
    return trace.heads.flatten()[: time * batch * width].view(time, batch, width)


def alike(elapsed: Tensor) -> bool:
    """Whether all steps take the same time, where that is known at once."""
    if type(elapsed) is not Tensor or elapsed.device.type != "cpu":
        return False
    least, most = torch.aminmax(elapsed)
    return bool(least == most)


def merge_gates(weight: Tensor, bias: Tensor, elapsed: Tensor) -> tuple[Tensor, ...]:
    """The last map with one head for both time gates."""
    found, step = [], elapsed.flatten()[0]
    for part in (weight, bias):
        start, end, time_a, time_b = part.chunk(4)
        found.append(torch.cat([start, end, torch.addcmul(time_b, time_a, step)]))
    return tuple(found)


def _open(pre: Tensor, parts: list[Tensor], elapsed: Tensor | None, units: int) -> None:
    """Sigmoids of the heads, in place."""
    if elapsed is None:
        pre.sigmoid_()
        return
    pre[:, : 2 * units].sigmoid_()
    torch.addcmul(parts[3], parts[2], elapsed, out=parts[3]).sigmoid_()


def _mix(mode: str, s: Tensor, e: Tensor, g: Tensor, out: Tensor) -> None:
    if mode == "default":
        torch.lerp(s, e, g, out=out)
    else:
        torch.addcmul(s, g, e - 0.5, out=out)
