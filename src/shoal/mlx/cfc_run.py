"""A CfC over a whole sequence, as one function with a gradient of its own.

    p = A h + s_t;   with a backbone  y = tanh(p),  p = B y + b
    f₁, f₂ = tanh(p₁), tanh(p₂);   g = tanh(Δt·p₃ + p₄);   σ = ½(1 + g)
    h' = f₁ + σ·(f₂ − f₁)     or, in mode "no_gate",  h' = f₁ + σ·f₂

What surrounds the tanh, a half or LeCun's constants, is in the matrices. Where Δt is 1 at every
step both time heads are one, g = tanh(p₃), and a quarter of B less is multiplied.

Left to itself, MLX finds the gradient of every matrix step by step. Here the backward pass takes
through time what h needs, and afterwards there is one product for each matrix, over all steps; and
matrices lie in memory as they are read, for on Linux those that are transposed cost a third more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import mlx.core as mx


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


def run(form: Form, given: Given) -> list[mx.array]:
    """h after every step, each (batch, units)."""
    arrays = [part for part in given if part is not None]
    return list(_function(form)(*arrays)[: given.seen.shape[0]])


@cache
def _function(form: Form) -> Callable:
    """The function of the arrays of a `Given`, to every h, y and f, with its gradient."""

    def forward(*arrays):
        return _forward(form, _given(form, arrays))

    function = mx.custom_function(forward)

    @function.vjp
    def _backward_of(arrays, cotangents, outputs):
        return _backward(form, _given(form, arrays), cotangents, outputs)

    return function


def _given(form: Form, arrays) -> Given:
    parts = iter(arrays)
    seen, hidden, first = next(parts), next(parts), next(parts)
    heads, bias = (next(parts), next(parts)) if form.backbone else (None, None)
    elapsed = next(parts) if form.timed else None
    active = None if form.everywhere else next(parts)
    return Given(seen, hidden, first, heads, bias, elapsed, active)


def _forward(form: Form, given: Given) -> tuple[mx.array, ...]:
    first = mx.contiguous(given.first.T)
    heads = None if given.heads is None else mx.contiguous(given.heads.T)
    elapsed, active = _steps(given.elapsed), _active(form, given)
    hidden, n = given.hidden, given.hidden.shape[-1]
    after, inner, ends = [], [], []
    for t, pre in enumerate(_steps(given.seen)):
        pre = pre + hidden @ first
        if heads is not None:
            inner.append(mx.tanh(pre))
            pre = inner[-1] @ heads + given.bias
        if form.timed:
            both, rate, gate = mx.split(pre, [2 * n, 3 * n], -1)
            ends += [mx.tanh(both), mx.tanh(rate * elapsed[t] + gate), rate]
            (start, end), gate = mx.split(ends[-3], 2, -1), ends[-2]
        else:
            ends.append(mx.tanh(pre))
            start, end, gate = mx.split(ends[-1], 3, -1)
        new = start + (0.5 + 0.5 * gate) * (end if form.no_gate else end - start)
        hidden = new if active[t] is None else mx.where(active[t], new, hidden)
        after.append(hidden)
    return (*after, *inner, *ends)


def _backward(form: Form, given: Given, cotangents, outputs) -> tuple[mx.array, ...]:
    steps, like = given.seen.shape[0], given.hidden
    after, inner, ends = _sorted(form, steps, outputs)
    of_after, of_inner, of_ends = _sorted(form, steps, cotangents)
    elapsed, active = _steps(given.elapsed), _active(form, given)
    of_heads, of_first, of_elapsed = [], [], []
    back = mx.zeros_like(like)
    for t in range(steps - 1, -1, -1):
        back, resting = back + of_after[t], None
        if active[t] is not None:
            resting = mx.where(active[t], mx.zeros_like(back), back)
            back = mx.where(active[t], back, mx.zeros_like(back))
        step = None if not form.timed else elapsed[t]
        pre, of_time = _before_tanh(form, ends[t], of_ends[t], back, step)
        of_elapsed.append(of_time)
        of_heads.append(pre)
        if form.backbone:
            pre = (pre @ given.heads + of_inner[t]) * (1.0 - inner[t] * inner[t])
        of_first.append(pre)
        back = pre @ given.first
        back = back if resting is None else back + resting
    joined = [mx.stack(part[::-1]) for part in (of_first, of_heads)]
    before = mx.stack([like, *after[:-1]])
    found = [joined[0], back, _flat(joined[0]).T @ _flat(before)]
    if form.backbone:
        found += [_flat(joined[1]).T @ _flat(mx.stack(inner)), _flat(joined[1]).sum(0)]
    if form.timed:
        time = mx.stack(of_elapsed[::-1])
        wide = given.elapsed.shape[-1] > 1
        found.append(time if wide else time.sum(-1, keepdims=True))
    return (*found, *([] if form.everywhere else [mx.zeros_like(given.active)]))


def _before_tanh(form: Form, ends, of_ends, back, elapsed):
    """The gradient before the heads' tanh, and that of Δt, from the gradient of h."""
    start, end = mx.split(ends[0], 2, -1) if form.timed else mx.split(ends[0], 3, -1)[:2]
    gate = ends[1] if form.timed else mx.split(ends[0], 3, -1)[2]
    of_end = back * (0.5 + 0.5 * gate)
    of_start = back if form.no_gate else back - of_end
    of_gate = 0.5 * back * (end if form.no_gate else end - start)
    if not form.timed:
        of_all = mx.concatenate([of_start, of_end, of_gate], -1) + of_ends[0]
        return of_all * (1.0 - ends[0] * ends[0]), None
    both, rate = ends[0], ends[2]
    of_both = mx.concatenate([of_start, of_end], -1) + of_ends[0]
    of_gate = (of_gate + of_ends[1]) * (1.0 - gate * gate)
    of_rate = of_gate * elapsed + of_ends[2]
    return mx.concatenate([of_both * (1.0 - both * both), of_rate, of_gate], -1), of_gate * rate


def _sorted(form: Form, steps: int, outputs) -> tuple[list, list, list]:
    """Every h, every y, and what belongs to the heads at every step."""
    after, rest = list(outputs[:steps]), outputs[steps:]
    inner, rest = (list(rest[:steps]), rest[steps:]) if form.backbone else ([], rest)
    each = 3 if form.timed else 1
    return after, inner, [rest[each * t : each * (t + 1)] for t in range(steps)]


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


def _flat(array: mx.array) -> mx.array:
    return array.reshape(-1, array.shape[-1])
