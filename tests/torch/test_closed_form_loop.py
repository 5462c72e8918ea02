"""The loop of a CfC that has a backward pass of its own, against plain operations."""

from itertools import product

import pytest
import torch

from shoal.torch.closed_form_loop import every
from shoal.torch.closed_form_steps import ACTIVATIONS, MODES, Sequence

TIME, BATCH, INPUTS, UNITS, WIDTH = 4, 3, 2, 3, 5
ACTIVE = {
    "all": lambda: None,
    "masked": lambda: torch.rand(TIME, BATCH, 1) > 0.4,
    "from a start": lambda: torch.rand(2, 1, UNITS) > 0.5,
}


def maps(depth):
    sizes = [*[WIDTH] * depth, 4 * UNITS]
    seen = [INPUTS + UNITS, *sizes]
    shapes = [s for n, m in zip(sizes, seen, strict=False) for s in ((n, m), (n,))]
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("active", ACTIVE.values(), ids=ACTIVE.keys())
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_gradients_against_finite_differences(depth, mode, active):
    active = active()
    for activation, alike in product(ACTIVATIONS if depth else ["sigmoid"], [False, True]):
        elapsed = torch.full((TIME, BATCH, 1), 0.7) if alike else torch.rand(TIME, BATCH, 1)
        x, h = torch.randn(TIME, BATCH, INPUTS), torch.rand(BATCH, UNITS)
        learned = [x.requires_grad_(), h.requires_grad_(), *maps(depth)]
        if not alike:
            learned.append(elapsed.requires_grad_())

        def call(x, h, *rest):
            of_time = elapsed if alike else rest[-1]  # noqa: B023
            given = Sequence(x, of_time, h, active)
            return every(given, list(rest[: 2 * depth + 2]), mode, activation)  # noqa: B023

        assert torch.autograd.gradcheck(call, learned, fast_mode=True)
        assert torch.autograd.gradgradcheck(call, learned, fast_mode=True)


def test_backward_twice_gives_the_same():
    given = Sequence(
        torch.randn(TIME, BATCH, INPUTS),
        torch.ones(TIME, BATCH, 1),
        torch.zeros(BATCH, UNITS),
        None,
    )
    learned = maps(1)
    total = every(given, learned, "default", "sigmoid").pow(2).sum()
    first = torch.autograd.grad(total, learned, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(total, learned), first, rtol=0, atol=0)
