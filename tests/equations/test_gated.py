"""CfC, LSTM, GRU and activations: one source for every array namespace."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from shoal.equations import cfc, gru, lstm
from shoal.equations.activations import ACTIVATIONS, sigmoid, softplus

RNG = np.random.default_rng(0)
X, H, DT = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 4)), RNG.uniform(0, 3, (2, 1))
NAMESPACES = {"torch": (torch, torch.tensor), "jax": (jnp, jnp.asarray)}


def draw(table, sizes):
    return {entry.name: RNG.normal(size=entry.sizes(sizes)) * 0.5 for entry in table}


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("mode", cfc.MODES)
def test_cfc_step_is_the_same_everywhere(x64, mode, layers, namespace):
    xp, array = NAMESPACES[namespace]
    params = draw(cfc.table(mode, layers), cfc.dimensions(3, 4, 5, layers))
    options = {"mode": mode, "activation": ACTIVATIONS["lecun_tanh"] if layers else None}
    expected = cfc.step(np, params, X, H, DT, **options)
    there = {name: array(value) for name, value in params.items()}
    got = cfc.step(xp, there, array(X), array(H), array(DT), **options)
    np.testing.assert_allclose(got, expected, atol=1e-13)


def test_cfc_written_out():
    params = draw(cfc.table("default", 0), cfc.dimensions(3, 4, backbone_layers=0))
    z = np.concatenate([X, H], 1)
    f1, f2, a, b = (z @ params[f"{h}_weight"].T + params[f"{h}_bias"] for h in cfc.heads("default"))
    s = 1 / (1 + np.exp(-(a * DT + b)))
    expected = np.tanh(f1) * (1 - s) + s * np.tanh(f2)
    np.testing.assert_allclose(cfc.step(np, params, X, H, DT), expected, atol=1e-13)
    expected = np.tanh(f1) + s * np.tanh(f2)
    np.testing.assert_allclose(cfc.step(np, params, X, H, DT, mode="no_gate"), expected, atol=1e-13)
    own = {**params, "w_tau": RNG.normal(size=4), "A": RNG.normal(size=4)}
    expected = -own["A"] * np.exp(-DT * (abs(own["w_tau"]) + abs(f1))) * f1 + own["A"]
    np.testing.assert_allclose(cfc.step(np, own, X, H, DT, mode="pure"), expected, atol=1e-13)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_gates_are_the_same_everywhere(x64, namespace):
    xp, array = NAMESPACES[namespace]
    gates, cell = RNG.normal(size=(2, 16)), RNG.normal(size=(2, 4))
    for a, b in zip(
        lstm.update(xp, array(gates), array(cell)), lstm.update(np, gates, cell), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-13)
    arrays = RNG.normal(size=(2, 12)), RNG.normal(size=(2, 12)), RNG.normal(size=4), H
    got = gru.update(xp, *map(array, arrays))
    np.testing.assert_allclose(got, gru.update(np, *arrays), atol=1e-13)


PEERS = {
    "lecun_tanh": lambda x: 1.7159 * torch.tanh(0.666 * x),
    "relu": torch.nn.functional.relu,
    "tanh": torch.tanh,
    "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu,
}


@pytest.mark.parametrize("name", PEERS)
def test_activations_are_pytorchs(x64, name):
    x = torch.linspace(-6, 6, 41, dtype=torch.float64)
    for xp, value in ((np, x.numpy()), (jnp, jnp.asarray(x.numpy())), (torch, x)):
        np.testing.assert_allclose(ACTIVATIONS[name](xp, value), PEERS[name](x), atol=1e-13)


def test_no_activation_overflows():
    x = np.array([-1e4, -50.0, 0.0, 50.0, 1e4])
    with np.errstate(over="raise"):
        np.testing.assert_allclose(sigmoid(np, x), [0, 0, 0.5, 1, 1], atol=1e-12)
        np.testing.assert_allclose(softplus(np, x), [0, 0, np.log(2), 50, 1e4], atol=1e-12)
