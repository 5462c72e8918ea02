"""The loop over time of an LTC in PyTorch, with a backward pass of its own.

One unfold, with the batch innermost and all synapses inside a box of (after, before):

    s = σ(sigma·(v_before − mu))
    [top, bottom] = base + Δt·[w·erev, w]·s         base = Δt·[pull, conductance + ε] + [0, cm]
    v ← (top + cm·v) / bottom

Backward, v and bottom of every unfold are at hand, the synapses are opened again rather than read
from memory, and the gradients of the parameters are added up in place. Where something else takes
the derivative (torch.func, torch.compile, autocast, a second derivative) or numbers have few
digits, the same steps run as plain operations.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


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
    if _plain(membrane):
        return _unrolled(membrane, v, mask, unfolds, box)
    return _Loop.apply(*membrane, v, mask, unfolds, box)  # type: ignore[no-any-return]


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


def _plain(membrane: Membrane) -> bool:
    if torch.compiler.is_compiling() or torch._C._get_tracing_state():
        return True
    if membrane.base.dtype not in (torch.float32, torch.float64):
        return True
    device = membrane.base.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return True
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor  # pyright: ignore
    return any(wrapped(part) for part in membrane)


class _Loop(torch.autograd.Function):
    """`_unrolled`, remembering v and bottom of every unfold."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        *tensors, v, mask, unfolds, box = arguments
        ctx.save_for_backward(*tensors, v)
        ctx.rest = mask, unfolds, box
        membrane = Membrane(*tensors)
        ctx.unfolded, found = [], []
        opened = torch.empty_like(membrane.sigma.expand(-1, -1, v.shape[-1]))
        for t, (base, elapsed) in enumerate(zip(membrane.base, membrane.elapsed, strict=True)):
            before = v
            for _ in range(unfolds):
                _open(membrane, v[box.before], opened)
                top, bottom = _summed(base, elapsed, torch.bmm(membrane.sums, opened), box)
                old, v = v, torch.addcmul(top, membrane.cm, v).div_(bottom)
                ctx.unfolded.append((old, bottom, v))
            v = v if mask is None else torch.where(mask[t], v, before)
            found.append(v)
        return torch.stack(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple:
        *tensors, v = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            return *_twice(ctx, (*tensors, v), gradients[0]), None, None, None
        whole = _Gradients(ctx, Membrane(*tensors))
        found = whole.of(gradients[0])
        return *found, None, None, None


def _open(membrane: Membrane, before: Tensor, opened: Tensor) -> None:
    torch.sub(before, membrane.mu, out=opened)
    opened.mul_(membrane.sigma).sigmoid_()


def _twice(ctx: Any, inputs: tuple[Tensor, ...], gradient: Tensor) -> list[Tensor | None]:
    wanted = [i for i, needed in enumerate(ctx.needs_input_grad[: len(inputs)]) if needed]
    mask, unfolds, box = ctx.rest
    *tensors, v = inputs
    output = _unrolled(Membrane(*tensors), v, mask, unfolds, box)
    chosen = [inputs[i] for i in wanted]
    found = torch.autograd.grad(output, chosen, gradient, create_graph=True, allow_unused=True)
    by_place = dict(zip(wanted, found, strict=True))
    return [by_place.get(i) for i in range(len(inputs))]


class _Gradients:
    """Sums over the loop, backwards."""

    def __init__(self, ctx: Any, membrane: Membrane):
        self.membrane, self.unfolded = membrane, ctx.unfolded
        self.mask, self.unfolds, self.box = ctx.rest
        self.wants_elapsed = ctx.needs_input_grad[1]
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

    def of(self, output: Tensor) -> tuple[Tensor, ...]:
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
        return (
            self.base,
            self.elapsed,
            cm,
            of_sigma[..., None],
            of_mu[..., None],
            self.sums,
            gradient,
        )

    def _before(self, t: int, gradient: Tensor) -> Tensor:
        """The gradient of v before an observation, from that of v after it."""
        membrane, box = self.membrane, self.box
        for u in range(self.unfolds - 1, -1, -1):
            old, bottom, new = self.unfolded[t * self.unfolds + u]
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
