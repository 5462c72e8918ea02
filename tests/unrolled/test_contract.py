"""Every kind of neuron, unrolled, is the JAX neuron: output, state and gradients."""

import equinox as eqx
import jax
import numpy as np
import pytest
import torch

from shoal.bundle.arrays import named_leaves
from shoal.unrolled.arrays import zeros_like
from shoal.unrolled.inputs import as_sequences
from shoal.unrolled.stack import run_stack
from shoal.wirings import AutoNCP, FullyConnected, Random, Wiring

NCP = AutoNCP(9, 3)
SPARSE = Random(8, 3, sparsity_level=0.8)
CUSTOM = Wiring(np.random.default_rng(0).integers(-1, 2, (6, 6)), output_dim=2)
NO_RECURRENCE = Wiring(np.diag([1, 0, 0, -1]), np.array([[0, 1, 1, 0]] * 3), output_dim=2)
FEW = {"ode_unfolds": 2}
CASES = {
    "cfc": ("cfc", {"units": 5}),
    "cfc pure": ("cfc", {"units": 5, "mode": "pure", "backbone_layers": 0, "proj_size": 2}),
    "cfc no_gate": ("cfc", {"units": 4, "mode": "no_gate", "backbone_layers": 2}),
    "cfc relu": ("cfc", {"units": 4, "activation": "relu", "bidirectional": True}),
    "cfc tanh memory": ("cfc", {"units": 4, "activation": "tanh", "mixed_memory": True}),
    "cfc ncp": ("cfc", {"units": NCP, "num_layers": 2, "residual": True}),
    "cfc ncp pure": ("cfc", {"units": NCP, "mode": "pure", "fully_recurrent": False}),
    "cfc ncp memory": ("cfc", {"units": NCP, "mode": "no_gate", "mixed_memory": True}),
    "cfc custom": ("cfc", {"units": CUSTOM, "bidirectional": True, "proj_size": 4}),
    "ltc": ("ltc", {"units": 5, **FEW}),
    "ltc ncp": ("ltc", {"units": NCP, "num_layers": 2, "bidirectional": True, **FEW}),
    "ltc sparse": ("ltc", {"units": SPARSE, "input_mapping": None, **FEW}),
    "ltc rows missing": ("ltc", {"units": NO_RECURRENCE, "output_mapping": "linear", **FEW}),
    "ltc euler": (
        "ltc",
        {"units": CUSTOM, "solver": "euler", "implicit_param_constraints": False, **FEW},
    ),
    "ltc rk4 memory": ("ltc", {"units": NCP, "solver": "rk4", "mixed_memory": True, **FEW}),
    "ctrnn": ("ctrnn", {"units": 5, **FEW}),
    "ctrnn euler ncp": ("ctrnn", {"units": NCP, "solver": "euler", "activation": "gelu", **FEW}),
    "ctrnn memory": ("ctrnn", {"units": FullyConnected(4, 2), "mixed_memory": True, **FEW}),
    "ctgru": ("ctgru", {"units": 3, "num_layers": 2, "residual": True}),
    "ctgru ncp memory": ("ctgru", {"units": NCP, "n_scales": 3, "mixed_memory": True}),
    "lstm": ("lstm", {"units": 4, "bidirectional": True, "proj_size": 2}),
    "gru": ("gru", {"units": 4, "use_timespans": True}),
}
BATCH, TIME, INPUTS = 3, 5, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(BATCH, TIME, INPUTS))
SPANS = RNG.uniform(0, 2, (BATCH, TIME))
SPANS[0, 2] = 0.0
SOME = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
ALL = np.ones((BATCH, TIME), bool)


def run(stack, params, x, spans, mask=None, state=None, whole=True, xp=np):
    given = as_sequences(xp, x, spans, mask, input_size=INPUTS)
    state = stack.initial_state(zeros_like(xp, given.x), x.shape[0]) if state is None else state
    return run_stack(xp, stack, params, whole, given.x, given.timespans, given.mask, state)


def same(found, wanted, tolerance=1e-12):
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_states_are_those_of_jax(case, built):
    kind, arguments = CASES[case]
    rnn, stack, params = built(kind, input_size=INPUTS, **arguments)
    assert (stack.output_size, stack.state_size) == (rnn.output_size, rnn.state_size)
    spans = -SPANS if case in ("cfc", "cfc ncp", "gru") else SPANS  # a z-score
    same(run(stack, params, X, spans, SOME), rnn(X, timespans=spans, mask=SOME))
    wanted = rnn(X, timespans=spans, mask=ALL)
    same(run(stack, params, X, spans), wanted)
    first, middle = run(stack, params, X[:, :2], spans[:, :2])
    second, end = run(stack, params, X[:, 2:], spans[:, 2:], state=middle)
    if "bidirectional" not in arguments:
        same((np.concatenate([first, second], 1), end), wanted)


LAST = ("cfc relu", "ltc ncp", "lstm")


@pytest.mark.parametrize("case", LAST)
def test_the_last_output_is_that_of_jax(case, built):
    kind, arguments = CASES[case]
    rnn, stack, params = built(kind, input_size=INPUTS, **arguments)
    last, _ = run(stack, params, X, SPANS, SOME, whole=False)
    same(last, rnn.last_output(X, timespans=SPANS, mask=SOME))


GRADIENTS = ("cfc", "cfc tanh memory", "cfc ncp", "ltc sparse", "ltc rows missing", "ctrnn")
GRADIENTS += ("ctgru ncp memory", "lstm")


@pytest.mark.parametrize("case", GRADIENTS)
def test_gradients_are_those_of_jax(case, built):
    kind, arguments = CASES[case]
    rnn, stack, params = built(kind, input_size=INPUTS, **arguments)

    def loss(rnn):
        output, state = rnn(X, timespans=SPANS, mask=SOME)
        return (output**2).sum() + sum((leaf**2).sum() for leaf in jax.tree.leaves(state))

    wanted = named_leaves(eqx.filter_jit(eqx.filter_grad(loss))(rnn))
    tensors = {name: torch.tensor(array) for name, array in params.items()}
    learned = {name: tensors[name].requires_grad_() for name in stack.shapes()}
    given = (torch.tensor(a) for a in (X, SPANS, SOME))
    output, state = run(stack, tensors, *given, xp=torch)
    total = (output**2).sum() + sum((leaf**2).sum() for leaf in jax.tree.leaves(state))
    found = torch.autograd.grad(total, list(learned.values()))
    assert any(gradient.abs().max() > 1e-3 for gradient in found)
    for name, gradient in zip(learned, found, strict=True):
        np.testing.assert_allclose(gradient, wanted[name], rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("case", ["cfc", "cfc ncp", "ltc sparse", "ctrnn", "ctgru", "gru"])
def test_one_observation_at_a_time(case, built):
    kind, arguments = CASES[case]
    alone = {"num_layers": 1, "residual": False}
    _, stack, params = built(kind, input_size=INPUTS, **(arguments | alone))
    outputs, last = run(stack, params, X, SPANS)
    place, cell = next(iter(stack.places().items()))
    own = {k.removeprefix(place + cell.prefix): v for k, v in params.items() if place in k}
    state = cell.initial_state(lambda *shape: np.zeros(shape), BATCH)
    for t in range(TIME):
        output, state = cell.single(np, own, X[:, t], SPANS[:, t], state)
        same(output, outputs[:, t])
    same(state, last)
