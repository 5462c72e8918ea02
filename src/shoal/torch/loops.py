"""Loops over time that PyTorch sees as one operation, with a backward pass of their own.

Eagerly a loop is a `torch.autograd.Function`. Under `torch.compile` it is one node of the graph, so
that compiling takes as long as for a single layer, whatever the length. Where something else takes
the derivative or looks inside (torch.func, autocast, an export, a second derivative), or numbers
have few digits, it runs as the plain operations it is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

Facts = Sequence[int]


class Loop(Protocol):
    """What a loop is; its tensors are those that have a gradient, then perhaps a boolean one."""

    def plain(self, tensors: list[Tensor], facts: Facts) -> Tensor:
        """The output, differentiable as often as one likes."""
        ...

    def forward(self, tensors: list[Tensor], facts: Facts) -> list[Tensor]:
        """The output, and what `backward` needs."""
        ...

    def empty(self, tensors: list[Tensor], facts: Facts) -> list[Tensor]:
        """As `forward`, without values: shapes and types alone."""
        ...

    def backward(
        self, gradient: Tensor, tensors: list[Tensor], facts: Facts, kept: list[Tensor]
    ) -> list[Tensor]:
        """The gradients of the tensors, as of the output."""
        ...


_LOOPS: dict[str, Loop] = {}


def register(name: str, loop: Loop) -> None:
    """Makes a loop known to `run`."""
    _LOOPS[name] = loop


def run(name: str, tensors: Sequence[Tensor], facts: Facts) -> Tensor:
    """The output of a loop, by the fastest way that the circumstances leave."""
    tensors = list(tensors)
    if not is_whole(tensors):
        return _LOOPS[name].plain(tensors, facts)
    if torch.compiler.is_compiling():
        return _node(name, tensors, list(facts))[0]
    return _Eager.apply(name, facts, *tensors)  # type: ignore[no-any-return]


def is_whole(tensors: Sequence[Tensor]) -> bool:
    """Whether `run` takes a loop of these in one piece."""
    if torch.compiler.is_exporting() or torch._C._get_tracing_state():
        return False
    first = tensors[0]
    if first.dtype not in (torch.float32, torch.float64):
        return False
    device = first.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return False
    functorch: Any = torch._C._functorch  # pyright: ignore
    if torch.compiler.is_compiling():  # where tensors cannot be asked
        return not _transformed()
    return not any(functorch.is_functorch_wrapped_tensor(tensor) for tensor in tensors)


@torch.compiler.assume_constant_result
def _transformed() -> bool:
    """Whether what is being compiled is inside a transformation of torch.func."""
    return torch._C._functorch.peek_interpreter_stack() is not None  # pyright: ignore


class _Eager(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, name: str, facts: Facts, *tensors: Tensor) -> Tensor:
        output, *kept = _LOOPS[name].forward(list(tensors), facts)
        ctx.save_for_backward(*tensors, output)
        ctx.loop, ctx.facts, ctx.kept = _LOOPS[name], facts, kept
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple:
        *tensors, output = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            return None, None, *_twice(ctx, tensors, gradients[0])
        found = ctx.loop.backward(gradients[0], tensors, ctx.facts, [output, *ctx.kept])
        return None, None, *found, *[None] * (len(tensors) - len(found))


def _twice(ctx: Any, tensors: list[Tensor], gradient: Tensor) -> list[Tensor | None]:
    wanted = [i for i, needed in enumerate(ctx.needs_input_grad[2:]) if needed]
    output = ctx.loop.plain(tensors, ctx.facts)
    chosen = [tensors[i] for i in wanted]
    found = torch.autograd.grad(output, chosen, gradient, create_graph=True, allow_unused=True)
    by_place = dict(zip(wanted, found, strict=True))
    return [by_place.get(i) for i in range(len(tensors))]


@torch.library.custom_op("shoal::loop", mutates_args=())
def _node(name: str, tensors: Sequence[Tensor], facts: Sequence[int]) -> list[Tensor]:
    return _LOOPS[name].forward(list(tensors), facts)


@_node.register_fake
def _(name, tensors, facts):
    return _LOOPS[name].empty(list(tensors), facts)


@torch.library.custom_op("shoal::loop_backward", mutates_args=())
def _node_backward(
    name: str,
    gradient: Tensor,
    tensors: Sequence[Tensor],
    facts: Sequence[int],
    kept: Sequence[Tensor],
) -> list[Tensor]:
    found = _LOOPS[name].backward(gradient, list(tensors), facts, list(kept))
    return [part.contiguous() for part in found]  # as promised below


@_node_backward.register_fake
def _(name, gradient, tensors, facts, kept):
    given = [tensor for tensor in tensors if tensor.dtype != torch.bool]
    return [tensor.new_empty(tensor.shape) for tensor in given]


def _keep(ctx: Any, inputs: tuple, output: list[Tensor]) -> None:
    ctx.name, tensors, ctx.facts = inputs
    ctx.count = len(tensors)
    ctx.save_for_backward(*tensors, *output)


def _backward(ctx: Any, gradients: list[Tensor]) -> tuple:
    tensors, kept = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
    found = _node_backward(
        ctx.name, gradients[0].contiguous(), list(tensors), list(ctx.facts), list(kept)
    )
    return None, [*found, *[None] * (ctx.count - len(found))], None


_node.register_autograd(_backward, setup_context=_keep)
