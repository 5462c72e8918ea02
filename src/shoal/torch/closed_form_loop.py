"""The loop of `closed_form_steps` and `closed_form_gradients` as one operation of PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from shoal.torch import loops
from shoal.torch.closed_form_gradients import backward
from shoal.torch.closed_form_steps import (
    ACTIVATIONS,
    MODES,
    Form,
    Sequence,
    Trace,
    forward,
    room_for,
    unrolled,
)


class _Loop:
    """`shoal.torch.loops` runs it; facts are those of `Form`, by number."""

    def plain(self, tensors, facts):
        return unrolled(*_arranged(tensors, facts))

    def forward(self, tensors, facts):
        output, heads, layers = forward(*_arranged(tensors, facts))
        return [output, heads, *layers]

    def empty(self, tensors, facts):
        given, maps, _ = _arranged(tensors, facts)
        output, heads, layers = room_for(given, maps)
        return [output, heads, *layers]

    def backward(self, gradient, tensors, facts, kept):
        trace = Trace(kept[0], kept[1], kept[2:])
        return backward(gradient, *_arranged(tensors, facts), trace)


def _arranged(tensors: list[Tensor], facts: loops.Facts) -> tuple[Sequence, list[Tensor], Form]:
    mode, activation, *rest = facts
    active = tensors[-1] if tensors[-1].dtype == torch.bool else None
    maps = tensors[3:] if active is None else tensors[3:-1]
    form = Form(MODES[mode], ACTIVATIONS[activation], *map(bool, rest))
    return Sequence(tensors[0], tensors[1], tensors[2], active), maps, form


loops.register("cfc", _Loop())


def every(given: Sequence, maps: list[Tensor], mode: str, activation: str) -> Tensor:
    """h after every step, (time, batch, units)."""
    tensors = [given.x, given.elapsed, given.h, *maps]
    tensors += [] if given.active is None else [given.active]
    wants = [int(not given.elapsed.requires_grad), int(given.x.requires_grad)]
    facts = [MODES.index(mode), ACTIVATIONS.index(activation), *wants]
    return loops.run("cfc", tensors, facts)
