"""The same numbers as `ncps.torch`, through the public `from_ncps`: outputs, states, gradients."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import ncps.torch
import ncps.wirings
import numpy as np
import pytest
import torch

import shoal
from shoal.neurons import partition

B, T, F = 3, 4, 3
RNG = np.random.default_rng(0)
X, ELAPSED = RNG.normal(size=(B, T, F)), RNG.uniform(0.0, 3.0, (B, T))

CFC = {
    "dense": {"activation": "lecun_tanh", "backbone_units": 6},
    "deep": {"activation": "silu", "backbone_units": 6, "backbone_layers": 2},
    "without backbone": {"backbone_layers": 0},
    "wired": {"wiring": (8, 2)},
}


def peer_run(module, x, elapsed):
    """One series after the other: time spans of a whole batch are broken in ncps."""
    outputs, states = [], []
    for i in range(len(x)):
        zero = torch.zeros(1, module.state_size, dtype=torch.float64)
        state = (zero, zero.clone()) if module.use_mixed else zero
        output, state = module(x[i : i + 1], state, elapsed[i : i + 1])
        outputs.append(output)
        states.append(state if module.use_mixed else (state,))
    return torch.cat(outputs), [torch.cat(parts) for parts in zip(*states, strict=True)]


def with_gradients_as_weights(module):
    """The module, its gradients in the place of its weights: they convert like weights."""
    for parameter in module.parameters():
        if parameter.requires_grad:
            zero = torch.zeros_like(parameter)
            parameter.data = zero if parameter.grad is None else parameter.grad
    return module


def differences(module):
    """The largest one in outputs, states, and gradients of the sum of squared outputs."""
    rnn = shoal.from_ncps(module)
    x = torch.tensor(X, requires_grad=True)
    output, states = peer_run(module, x, torch.tensor(ELAPSED))
    (output**2).sum().backward()

    trainable, rest = partition(rnn)

    def loss(trainable, x):
        output, state = eqx.combine(trainable, rest)(x, timespans=ELAPSED)
        return (output**2).sum(), (output, state)

    grad = jax.jit(jax.grad(loss, (0, 1), has_aux=True))
    (by_weights, by_x), (ours, our_state) = grad(trainable, jnp.asarray(X))
    expected = partition(shoal.from_ncps(with_gradients_as_weights(module)))[0]
    pairs = [(output, ours), (x.grad, by_x), *zip(states, jax.tree.leaves(our_state), strict=True)]
    pairs += zip(jax.tree.leaves(expected), jax.tree.leaves(by_weights), strict=True)
    return max(np.abs(np.asarray(_detached(a)) - np.asarray(b)).max() for a, b in pairs)


def _detached(value):
    return value.detach().numpy() if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize("mode", ["default", "pure", "no_gate"])
@pytest.mark.parametrize(
    ("shape", "mixed"),
    [
        *itertools.product(["dense", "wired"], [False, True]),
        ("deep", False),
        ("without backbone", False),
    ],
)
def test_cfc(x64, mode, shape, mixed):
    torch.manual_seed(1)
    options = dict(CFC[shape])
    units = ncps.wirings.AutoNCP(*options.pop("wiring")) if shape == "wired" else 5
    proj_size = 2 if mixed else None
    module = ncps.torch.CfC(F, units, proj_size, mixed_memory=mixed, mode=mode, **options)
    assert differences(module.double()) < 1e-10


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_backbone_activations(x64, activation):
    torch.manual_seed(2)
    module = ncps.torch.CfC(F, 4, activation=activation, backbone_units=6)
    assert differences(module.double()) < 1e-10


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("wired", [False, True])
def test_ltc(x64, wired, mixed):
    torch.manual_seed(3)
    units = ncps.wirings.AutoNCP(8, 2) if wired else 4
    module = ncps.torch.LTC(F, units, mixed_memory=mixed)
    assert differences(module.double()) < 1e-10


def test_the_module_is_not_changed_and_its_settings_are_taken_over():
    torch.manual_seed(4)
    module = ncps.torch.CfC(
        F, 4, return_sequences=False, backbone_layers=2, backbone_units=6, backbone_dropout=0.25
    )
    before = {name: value.clone() for name, value in module.state_dict().items()}
    rnn = shoal.from_ncps(module)
    assert rnn(X)[0].shape == (B, 4)
    assert rnn.stack.layers[0].forward.dropout.rate.value == 0.25
    assert all(torch.equal(before[name], v) for name, v in module.state_dict().items())


def test_anything_else_is_refused():
    with pytest.raises(ValueError, match=r"`module` must be an ncps.torch.CfC.*torch.*GRU"):
        shoal.from_ncps(torch.nn.GRU(2, 3))


def test_the_weights_are_copies():
    module = ncps.torch.CfC(64, 64)
    ours = shoal.from_ncps(module)
    before = [np.array(leaf) for leaf in jax.tree.leaves(eqx.filter(ours, eqx.is_array))]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1.0)
    after = jax.tree.leaves(eqx.filter(ours, eqx.is_array))
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
