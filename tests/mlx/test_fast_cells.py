"""The cells that have a form of their own in MLX, beside those that every framework shares."""

import numpy as np
import pytest

from shoal.unrolled.plans import stack_of
from shoal.unrolled.stack import run_stack
from shoal.wirings import AutoNCP

mx = pytest.importorskip("mlx.core")
fast = pytest.importorskip("shoal.mlx.cells").fast
start = pytest.importorskip("shoal.mlx.initialise").start
arrays = pytest.importorskip("shoal.mlx.arrays").arrays

B, T, F = 3, 6, 3
RNG = np.random.default_rng(0)
X = mx.array(RNG.normal(size=(B, T, F)).astype(np.float32))
ELAPSED = mx.array(RNG.uniform(0.0, 3.0, (B, T)).astype(np.float32))
HOLES = mx.array(RNG.random((B, T)) < 0.6)
CASES = {
    "cfc": ("cfc", {"units": 4, "backbone_units": 5}),
    "cfc tanh, no gate": ("cfc", {"units": 4, "activation": "tanh", "mode": "no_gate"}),
    "cfc without backbone": ("cfc", {"units": 4, "backbone_layers": 0}),
    "cfc relu": ("cfc", {"units": 4, "activation": "relu", "backbone_layers": 2}),
    "cfc pure": ("cfc", {"units": 4, "mode": "pure"}),
    "cfc wired": ("cfc", {"wiring": AutoNCP(9, 2)}),
    "cfc wired, no gate": ("cfc", {"wiring": AutoNCP(9, 2), "mode": "no_gate"}),
    "ltc": ("ltc", {"wiring": AutoNCP(9, 2), "ode_unfolds": 2}),
}


def answers(xp, stack, params, x, timespans, mask, state):
    timespans = timespans if mask is None else mx.where(mask, timespans, 0.0)
    output, end = run_stack(xp, stack, params, True, x, timespans, mask, state)
    return mx.sum(mx.sin(output)) + mx.sum(end**2), output


def gradients(xp, stack, learned, *given):
    """Of a sum over outputs and last state, by every parameter and array given."""
    fresh = start(stack, mx.float32, None)
    constants = {n: a for n, a in fresh.items() if n.rpartition(".")[2].startswith("_")}

    def loss(learned, x, timespans, state):
        return answers(xp, stack, learned | constants, x, timespans, given[2], state)

    (value, output), found = mx.value_and_grad(loss, argnums=(0, 1, 2, 3))(
        learned, given[0], given[1], given[3]
    )
    return value, output, found


def same(left, right, tolerance=1e-5):
    np.testing.assert_allclose(
        left, right, rtol=tolerance, atol=tolerance * (1 + np.abs(right).max())
    )


@pytest.mark.parametrize("mask", [None, HOLES], ids=["whole", "holes"])
@pytest.mark.parametrize("name", CASES)
def test_outputs_and_every_gradient_are_those_of_the_shared_cells(name, mask):
    kind, options = CASES[name]
    mx.random.seed(0)
    plain = stack_of(kind, {"input_size": F, **options})
    learned = start(plain, mx.float32, None)
    learned = {
        name: array + 0.1 * ("w_tau" in name)
        for name, array in learned.items()
        if not name.rpartition(".")[2].startswith("_")
    }
    state = mx.random.normal((B, plain.state_size)) * 0.3
    for timespans, regular in ((ELAPSED, False), (mx.ones((B, T)), True)):
        given = X, timespans, mask, state
        for _ in range(2):  # the second time from compiled programs
            value, output, (of_params, *of_given) = gradients(
                arrays, fast(plain, regular=regular), learned, *given
            )
        wanted, expected, (theirs, *others) = gradients(mx, plain, learned, *given)
        same(value, wanted)
        same(output, expected)
        for parameter in learned:
            same(of_params[parameter], theirs[parameter])
        same(of_given[0], others[0])
        same(of_given[2], others[2])
        if not regular:
            same(of_given[1], others[1])


@pytest.mark.parametrize("name", ["cfc", "cfc wired", "ltc"])
def test_second_derivatives(name):
    kind, options = CASES[name]
    mx.random.seed(0)
    plain = stack_of(kind, {"input_size": F, **options})
    found = []
    learned = {}
    for xp, stack in ((arrays, fast(plain)), (mx, plain)):
        fresh = start(stack, mx.float32, None)
        constants = {n: a for n, a in fresh.items() if n.rpartition(".")[2].startswith("_")}
        learned = learned or {n: a for n, a in fresh.items() if n not in constants}
        params = learned | constants

        def slope(x, xp=xp, stack=stack, params=params):
            state = mx.zeros((B, plain.state_size))
            f = lambda x: answers(xp, stack, params, x, ELAPSED, None, state)[0]  # noqa: E731
            return mx.sum(mx.grad(f)(x) ** 2)

        found.append(mx.grad(slope)(X))
    same(*found, 1e-4)
