"""The backward pass of `closed_form_steps`, from what `forward` left.

With δ the gradient of each map's values and ṁ of m, a step back in time is

    δ_heads = ∂m/∂heads·ṁ,   δ ← (δ·W)·z·(1 − z) …,   ṁ_before = 2·δ₀·W₀ + what the output says

where ∂m/∂heads is worked out for all steps at once, and the gradient of a weight is one product,
δᵀ·z over all steps, in the end.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shoal.torch.closed_form_steps import (
    Form,
    Sequence,
    Trace,
    alike,
    heads_of,
    merge_gates,
)


def backward(
    gradient: Tensor, given: Sequence, maps: list[Tensor], form: Form, trace: Trace
) -> list[Tensor]:
    """The gradients of x, elapsed, h before the first step, and of every map."""
    x, elapsed, h, active = given
    inputs, units = x.shape[-1], h.shape[-1]
    merged = form.merge and alike(elapsed)
    heads = heads_of(trace, merged)
    used = [*maps[:-2], *merge_gates(maps[-2], maps[-1], elapsed)] if merged else maps
    slopes = _slopes(form.mode, heads, units, None if merged else elapsed)
    by_head, idle = slopes.unflatten(-1, (-1, units)), None
    if active is not None:
        by_head[: len(active)] *= active[:, :, None]
        idle = (~active).to(x.dtype).unbind(0)
    deltas = [*(torch.empty_like(layer) for layer in trace.layers), slopes]
    steps = [delta.unbind(0) for delta in deltas]
    layers = list(zip(used[2::2], steps[1:], steps, trace.layers, strict=False))
    layers = [(w, after, before, layer.unbind(0)) for w, after, before, layer in layers][::-1]
    of_h = 2.0 * used[0][:, inputs:]
    close, gradients, by_head = (
        _CLOSE[form.activation],
        gradient.mul(2.0).unbind(0),
        by_head.unbind(0),
    )
    of_m = torch.zeros_like(h)
    for t in range(len(x) - 1, -1, -1):
        of_m.add_(gradients[t])
        by_head[t].mul_(of_m[:, None])
        for weight, after, before, opened in layers:
            close(torch.mm(after[t], weight, out=before[t]), opened[t])
        if idle is not None and t < len(idle):
            of_m = torch.addmm(of_m * idle[t], steps[0][t], of_h)
        else:
            torch.mm(steps[0][t], of_h, out=of_m)
    found = _of_weights(deltas, x, h, trace)
    of_elapsed = torch.zeros_like(elapsed)
    if merged:
        found[-2:] = _parted(found[-2], found[-1], elapsed)
    elif not form.merge:
        time_a, time_b = heads[..., 2 * units : 3 * units], slopes[..., 3 * units :]
        of_elapsed = (time_a * time_b).sum_to_size(elapsed.shape)
    of_x = deltas[0] @ used[0][:, :inputs] if form.listen else torch.zeros_like(x)
    return [of_x, of_elapsed, 0.5 * of_m, *found]


def _parted(weight: Tensor, bias: Tensor, elapsed: Tensor) -> list[Tensor]:
    """The gradient of the last map from that of the merged one."""
    found, step = [], elapsed.flatten()[0]
    for part in (weight, bias):
        start, end, gate = part.chunk(3)
        found.append(torch.cat([start, end, gate * step, gate]))
    return found


def _slopes(mode: str, heads: Tensor, units: int, elapsed: Tensor | None) -> Tensor:
    """dm/d(head), (time, batch, heads·units)."""
    slopes = torch.addcmul(heads, heads, heads, value=-1.0)
    s, e, *_, g = heads.split(units, -1)
    of_s, of_e, *of_a, of_g = slopes.split(units, -1)
    of_e.mul_(g)
    if mode == "default":
        of_s.addcmul_(of_s, g, value=-1.0)
        of_g.mul_(e - s)
    else:
        of_g.mul_(e - 0.5)
    if elapsed is not None:
        torch.mul(of_g, elapsed, out=of_a[0])
    return slopes


def _of_weights(deltas: list[Tensor], x: Tensor, h: Tensor, trace: Trace) -> list[Tensor]:
    """One product over all steps for each weight, and a sum for each bias."""
    flat = [delta.flatten(0, 1) for delta in deltas]
    batch = len(h)
    recurrent = deltas[0][0].T @ h
    recurrent.addmm_(flat[0][batch:].T, trace.output[:-1].flatten(0, 1))
    found = [torch.cat([flat[0].T @ x.flatten(0, 1), recurrent], 1), flat[0].sum(0)]
    for delta, layer in zip(flat[1:], trace.layers, strict=True):
        found += [delta.T @ layer.flatten(0, 1), delta.sum(0)]
    return found


def _close_sigmoid(gradient: Tensor, opened: Tensor) -> None:
    torch.ops.aten.sigmoid_backward.grad_input(gradient, opened, grad_input=gradient)


def _close_relu(gradient: Tensor, opened: Tensor) -> None:
    torch.ops.aten.threshold_backward.grad_input(gradient, opened, 0.0, grad_input=gradient)


_CLOSE = {"sigmoid": _close_sigmoid, "relu": _close_relu}
