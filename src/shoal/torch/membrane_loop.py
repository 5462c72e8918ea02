"""The loop over time of an LTC in PyTorch, with a backward pass of its own.

One unfold, with the batch innermost and all synapses inside a box of (after, before):

    s = σ(sigma·(v_before − mu))
    [top, bottom] = base + Δt·[w·erev, w]·s         base = Δt·[pull, conductance + ε] + [0, cm]
    v ← (top + cm·v) / bottom

Backward, v and bottom of every unfold are at hand, the synapses are opened again rather than read
from memory, and the gradients of the parameters are added up in place.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shoal.torch import loops


class Box(NamedTuple):
    """The rows and columns between which all synapses of a matrix (before, after) lie."""

    before: slice
    after: slice


class Membrane(NamedTuple):
    """All that parameters and inputs say to the loop."""

    base: Tensor  # (time, units, 2, batch)
    elapsed: Tensor  # (time, batch), of one unfold
    cm: Tensor  # (units, 1)
    sigma: Tensor  # (after, before, 1)
    mu: Tensor  # (after, before, 1)
    sums: Tensor  # (after, 2, before)


def every(membrane: Membrane, v: Tensor, mask: Tensor | None, unfolds: int, box: Box) -> Tensor:
    """v after every observation, (time, units, batch), from v before the first."""
    tensors = [*membrane, v] if mask is None else [*membrane, v, mask]
    wants_elapsed = int(membrane.elapsed.requires_grad)
    return loops.run("ltc", tensors, [wants_elapsed, unfolds, *_ends(box)])


def _ends(box: Box) -> list[int]:
    return [end for span in box for end in (span.start, span.stop)]


def advance(membrane: Membrane, base, elapsed, v, unfolds: int, box: Box) -> Tensor:
    """v after one observation, (units, batch); `base` and `elapsed` are that observation's."""
    for _ in range(unfolds):
        opened = torch.sigmoid((v[box.before] - membrane.mu) * membrane.sigma)
        top, bottom = _summed(base, elapsed, torch.bmm(membrane.sums, opened), box)
        v = torch.addcmul(top, membrane.cm, v) / bottom
    return v


def _summed(base: Tensor, elapsed: Tensor, sums: Tensor, box: Box) -> tuple[Tensor, ...]:
    reached = base[box.after] + elapsed * sums
    if len(reached) < len(base):
        reached = torch.cat([base[: box.after.start], reached, base[box.after.stop :]])
    return reached.unbind(1)


def _unrolled(membrane: Membrane, v, mask, unfolds: int, box: Box) -> Tensor:
    found = []
    steps = zip(membrane.base.unbind(0), membrane.elapsed.unbind(0), strict=True)
    for t, (base, elapsed) in enumerate(steps):
        new = advance(membrane, base, elapsed, v, unfolds, box)
        v = new if mask is None else torch.where(mask[t], new, v)
        found.append(v)
    return torch.stack(found)


class _Loop:
    """`shoal.torch.loops` runs it; facts are whether elapsed has a gradient, unfolds, and the box.

    What is kept are v, before an observation and after every unfold of it, (time, unfolds + 1,
    units, batch), and top and bottom, (time, unfolds, units, 2, batch).
    """

    def plain(self, tensors, facts):
        membrane, v, mask = _arranged(tensors)
        return _unrolled(membrane, v, mask, facts[1], _box(facts))

    def empty(self, tensors, facts):
        base = tensors[0]
        time, units, _, batch = base.shape
        every = base.new_empty(time, facts[1] + 1, units, batch)
        both = base.new_empty(time, facts[1], units, 2, batch)
        return [base.new_empty(time, units, batch), every, both]

    def forward(self, tensors, facts):
        membrane, v, mask = _arranged(tensors)
        output, every, both = self.empty(tensors, facts)
        box, opened = _box(facts), torch.empty_like(membrane.sigma.expand(-1, -1, v.shape[-1]))
        for rest in (slice(None, box.after.start), slice(box.after.stop, None)):
            both[:, :, rest] = membrane.base[:, None, rest]
        reached = membrane.base[:, box.after].unbind(0)
        for t, elapsed in enumerate(membrane.elapsed.unbind(0)):
            vs, before = every[t].unbind(0), v
            vs[0].copy_(v)
            for old, new, sums in zip(vs, vs[1:], both[t].unbind(0), strict=False):
                _open(membrane, old[box.before], opened)
                heard = torch.bmm(membrane.sums, opened)
                torch.addcmul(reached[t], elapsed, heard, out=sums[box.after])
                top, bottom = sums.unbind(1)
                torch.addcmul(top, membrane.cm, old, out=new).div_(bottom)
            v = vs[-1] if mask is None else torch.where(mask[t], vs[-1], before)
            output[t] = v
        return [output, every, both]

    def backward(self, gradient, tensors, facts, kept):
        membrane, _, mask = _arranged(tensors)
        return _Gradients(membrane, mask, facts, kept).of(gradient)


def _arranged(tensors: list[Tensor]) -> tuple[Membrane, Tensor, Tensor | None]:
    mask = tensors[7] if len(tensors) > 7 else None
    return Membrane(*tensors[:6]), tensors[6], mask


def _box(facts: loops.Facts) -> Box:
    return Box(slice(*facts[2:4]), slice(*facts[4:6]))


loops.register("ltc", _Loop())


def _open(membrane: Membrane, before: Tensor, opened: Tensor) -> None:
    torch.sub(before, membrane.mu, out=opened)
    opened.mul_(membrane.sigma).sigmoid_()


class _Gradients:
    """Sums over the loop, backwards."""

    def __init__(self, membrane: Membrane, mask: Tensor | None, facts: loops.Facts, kept: list):
        self.membrane, self.mask, self.box = membrane, mask, _box(facts)
        self.wants_elapsed, self.unfolds = facts[:2]
        _, self.every, self.both = kept
        rows, columns, _ = membrane.sigma.shape
        batch = membrane.elapsed.shape[-1]
        self.opened = membrane.base.new_empty(rows, columns, batch)
        self.slopes = torch.empty_like(self.opened)
        self.base = torch.zeros(membrane.base.shape).to(membrane.base)
        self.elapsed = torch.zeros_like(membrane.elapsed)
        self.cm = membrane.base.new_zeros(membrane.base.shape[1], batch)
        self.sums = torch.zeros_like(membrane.sums)
        self.alone = torch.zeros_like(self.opened)  # slopes, and slopes times the activity before
        self.heard = torch.zeros_like(self.opened)
        self.back = membrane.sums.transpose(1, 2).contiguous()
        self.sigma = membrane.sigma.permute(1, 2, 0).contiguous()

    def of(self, output: Tensor) -> list[Tensor]:
        """The gradients of the membrane's parts and of the first v."""
        gradient = torch.zeros_like(output[0])
        for t in range(len(output) - 1, -1, -1):
            gradient = gradient + output[t]
            if self.mask is None:
                gradient = self._before(t, gradient)
                continue
            held = gradient.masked_fill(self.mask[t], 0.0)
            gradient = self._before(t, gradient.masked_fill(~self.mask[t], 0.0)) + held
        heard, alone = self.heard.sum(-1), self.alone.sum(-1)
        mu, sigma = self.membrane.mu[..., 0], self.membrane.sigma[..., 0]
        of_sigma, of_mu = heard - mu * alone, -sigma * alone
        cm = self.cm.sum(1, keepdim=True)
        return [
            self.base,
            self.elapsed,
            cm,
            of_sigma[..., None],
            of_mu[..., None],
            self.sums,
            gradient,
        ]

    def _before(self, t: int, gradient: Tensor) -> Tensor:
        """The gradient of v before an observation, from that of v after it."""
        membrane, box = self.membrane, self.box
        for u in range(self.unfolds - 1, -1, -1):
            old, new, bottom = self.every[t, u], self.every[t, u + 1], self.both[t, u, :, 1]
            top = gradient / bottom
            forces = torch.stack([top, -top * new], 1)
            self.base[t] += forces
            self.cm.addcmul_(top, old)
            before = old[box.before]
            _open(membrane, before, self.opened)
            reached = forces[box.after]
            if self.wants_elapsed:
                self.elapsed[t] += (torch.bmm(membrane.sums, self.opened) * reached).sum((0, 1))
            sums = reached * membrane.elapsed[t]
            self.sums.baddbmm_(sums, self.opened.transpose(1, 2))
            torch.bmm(self.back, sums, out=self.slopes)
            torch.ops.aten.sigmoid_backward.grad_input(
                self.slopes, self.opened, grad_input=self.slopes
            )
            self.alone += self.slopes
            self.heard.addcmul_(self.slopes, before)
            gradient = membrane.cm * top
            gradient[box.before] += torch.bmm(self.sigma, self.slopes.transpose(0, 1))[:, 0]
        return gradient
