"""A CfC over a whole sequence, as one function with a gradient of its own.

    p = A h + s_t;   with a backbone  y = tanh(p),  p = B y + b
    f₁, f₂ = tanh(p₁), tanh(p₂);   g = tanh(Δt·p₃ + p₄);   σ = ½(1 + g)
    h' = f₁ + σ·(f₂ − f₁)     or, in mode "no_gate",  h' = f₁ + σ·f₂

What surrounds the tanh, a half or LeCun's constants, is in the matrices. Where Δt is 1 at every
step both time heads are one, g = tanh(p₃), and a quarter of B less is multiplied.

Left to itself, MLX finds the gradient of every matrix step by step. Here the backward pass takes
through time what h needs, and afterwards there is one product for each matrix, over all steps; and
matrices lie in memory as they are read, for on Linux those that are transposed cost a third more.
What is done element by element between two products is one compiled piece.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import mlx.core as mx

from shoal.mlx.whole import whole
from shoal.unrolled.quick import fused

STEPS = 4  # of which a matrix's gradient is one product


class Form(NamedTuple):
    """Which of the forms above: in mode "no_gate", with a backbone, with elapsed times given."""

    no_gate: bool
    backbone: bool
    timed: bool
    everywhere: bool = True  # else some neurons rest at some steps
    rest: int | None = None  # only at so many steps at either end; None where at any step


class Given(NamedTuple):
    """What a run is given, arrays with time first; of the optional ones what the form has."""

    seen: mx.array
    hidden: mx.array
    first: mx.array  # A
    heads: Any = None  # B
    bias: Any = None
    elapsed: Any = None
    active: Any = None


def run(form: Form, given: Given) -> mx.array:
    """h after every step, (time, batch, units)."""
    return _function(form)(*(part for part in given if part is not None))[0]


@cache
def _function(form: Form) -> Callable:
    """The function of the arrays of a `Given`, to every h, f and y, with the gradient of h.

    Nothing but h is for others to use: f and y are what the backward pass reads. Derivatives of
    the gradient are those that MLX finds itself.
    """
    n = 3 + 2 * form.backbone + form.timed + (not form.everywhere)

    def forward(*arrays):
        return _forward(form, _given(form, arrays))

    def backward(*arrays):
        found = _found(form, arrays[n + 1 :])
        return _backward(form, _given(form, arrays[:n]), arrays[n], found)

    def twice(arrays, cotangents, outputs):
        def gradient(*parts):
            given, of = list(parts[:n]), list(parts[n:])
            return mx.vjp(lambda *given: forward(*given)[:1], given, of)[1]

        found = mx.vjp(gradient, list(arrays[: n + 1]), list(cotangents))[1]
        return (*found, *map(mx.zeros_like, arrays[n + 1 :]))

    slopes = whole(backward, twice)
    return whole(forward, lambda given, of, outputs: slopes(*given, of[0], *outputs))


def _given(form: Form, arrays) -> Given:
    parts = iter(arrays)
    seen, hidden, first = next(parts), next(parts), next(parts)
    heads, bias = (next(parts), next(parts)) if form.backbone else (None, None)
    elapsed = next(parts) if form.timed else None
    active = None if form.everywhere else next(parts)
    return Given(seen, hidden, first, heads, bias, elapsed, active)


class Found(NamedTuple):
    """What a run finds at every step: time first, stacked or as a list."""

    after: Any  # h
    both: Any  # f₁ and f₂; where Δt is 1 everywhere g too
    gate: Any = None  # g
    rate: Any = None  # p₃
    inner: Any = None  # y


def _found(form: Form, arrays) -> Found:
    """The parts of what `_forward` gives."""
    after, both, *rest = arrays
    gate, rate = rest[:2] if form.timed else (None, None)
    return Found(after, both, gate, rate, *rest[2 * form.timed :])


def _forward(form: Form, given: Given) -> tuple[mx.array, ...]:
    first, heads, bias = given.first.T, given.heads, given.bias
    first = mx.contiguous(first)
    if heads is not None:
        heads = mx.contiguous(heads.T)
        bias = mx.contiguous(mx.broadcast_to(bias, (len(given.hidden), len(bias))))
    elapsed, active = _steps(given.elapsed), _active(form, given)
    hidden, n, pieces = given.hidden, given.hidden.shape[-1], _pieces(form.no_gate)
    found = Found([], [], [], [], [])
    for t, pre in enumerate(_steps(given.seen)):
        more = hidden @ first
        if heads is not None:
            found.inner.append(pieces.tanh_of_sum(pre, more))
            pre, more = bias, found.inner[-1] @ heads
        if form.timed:
            both, rate, gate = mx.split(pre + more, [2 * n, 3 * n], -1)
            found.both.append(mx.tanh(both))
            found.rate.append(rate)
            found.gate.append(pieces.tanh_of_sum(rate * elapsed[t], gate))
            (start, end), gate = mx.split(found.both[-1], 2, -1), found.gate[-1]
        else:
            found.both.append(pieces.tanh_of_sum(pre, more))
            start, end, gate = mx.split(found.both[-1], 3, -1)
        new = pieces.answer(start, end, gate)
        hidden = new if active[t] is None else mx.where(active[t], new, hidden)
        found.after.append(hidden)
    return tuple(mx.stack(part) for part in found if part)


def _backward(form: Form, given: Given, of_after: mx.array, stacked: Found):
    steps, back = given.seen.shape[0], mx.zeros_like(given.hidden)
    outputs, of_each = Found(*map(_steps, stacked)), _steps(of_after)
    elapsed, active, pieces = _steps(given.elapsed), _active(form, given), _pieces(form.no_gate)
    of_heads, of_first, of_elapsed = [], [], []
    for t in range(steps - 1, -1, -1):
        back, resting = back + of_each[t], None
        if active[t] is not None:
            resting = mx.where(active[t], mx.zeros_like(back), back)
            back = mx.where(active[t], back, mx.zeros_like(back))
        step = None if not form.timed else elapsed[t]
        pre, of_time = _before_tanh(form, _at(outputs, t), back, step)
        of_elapsed.append(of_time)
        of_heads.append(pre)
        if form.backbone:
            pre = pieces.through_tanh(pre @ given.heads, outputs.inner[t])
        of_first.append(pre)
        back = pre @ given.first
        back = back if resting is None else back + resting
    joined = [mx.stack(part[::-1]) for part in (of_first, of_heads)]
    before = mx.concatenate([given.hidden[None], stacked.after[:-1]])
    found = [joined[0], back, _over_time(joined[0], before)]
    if form.backbone:
        found += [_over_time(joined[1], stacked.inner), joined[1].sum((0, 1))]
    if form.timed:
        time = mx.stack(of_elapsed[::-1])
        wide = given.elapsed.shape[-1] > 1
        found.append(time if wide else time.sum(-1, keepdims=True))
    return (*found, *([] if form.everywhere else [mx.zeros_like(given.active)]))


def _at(found: Found, t: int) -> Found:
    return Found(*(part[t] if part else None for part in found))


def _before_tanh(form: Form, found: Found, back, elapsed):
    """The gradient before the heads' tanh, and that of Δt, from the gradient of h."""
    tanhs = mx.split(found.both, 2 if form.timed else 3, -1)
    tanhs = [*tanhs, found.gate] if form.timed else tanhs
    of_start, of_end, of_gate = _pieces(form.no_gate).slopes(back, *tanhs)
    if not form.timed:
        return mx.concatenate([of_start, of_end, of_gate], -1), None
    of_all = mx.concatenate([of_start, of_end, of_gate * elapsed, of_gate], -1)
    return of_all, of_gate * found.rate


class Pieces(NamedTuple):
    """What is done element by element."""

    tanh_of_sum: Callable
    answer: Callable
    slopes: Callable
    through_tanh: Callable


@cache
def _pieces(no_gate: bool) -> Pieces:
    def answer(tanh, start, end, gate):
        return start + (0.5 + 0.5 * gate) * (end if no_gate else end - start)

    def slopes(tanh, back, start, end, gate):
        of_end = back * (0.5 + 0.5 * gate)
        of_gate = 0.5 * back * (end if no_gate else end - start)
        of = (back if no_gate else back - of_end, of_end, of_gate)
        return tuple(map(partial(through_tanh, tanh), of, (start, end, gate)))

    def through_tanh(tanh, gradient, y):
        return gradient * (1.0 - y * y)

    def tanh_of_sum(tanh, a, b):
        return tanh(a + b)

    return Pieces(*(fused(mx, f) for f in (tanh_of_sum, answer, slopes, through_tanh)))


def _steps(array: mx.array | None) -> list[mx.array]:
    if array is None:
        return []
    return [part.squeeze(0) for part in mx.split(array, array.shape[0], 0)]


def _active(form: Form, given: Given) -> list[Any]:
    """Which neurons change at each step; None for all of them."""
    if given.active is None:
        return [None] * given.seen.shape[0]
    parts: list[Any] = list(_steps(given.active))
    if form.rest is not None:
        parts[form.rest : len(parts) - form.rest] = [None] * (len(parts) - 2 * form.rest)
    return parts


def _over_time(gradient: mx.array, seen: mx.array) -> mx.array:
    """A matrix's gradient, one product for every few steps: parts that stay in the cache."""
    time = gradient.shape[0]
    parts = next(n for n in range(max(time // STEPS, 1), 0, -1) if time % n == 0)
    a, b = (part.reshape(parts, -1, part.shape[-1]) for part in (gradient, seen))
    return (mx.swapaxes(a, 1, 2) @ b).sum(0)
