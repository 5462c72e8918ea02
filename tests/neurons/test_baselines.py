"""LSTM and GRU against PyTorch and ncps; elapsed time as an input."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from ncps.torch.lstm import LSTMCell

from shoal import GRU, LSTM

X = np.random.default_rng(0).normal(size=(3, 6, 2))
ELAPSED = np.random.default_rng(1).uniform(0, 5, (3, 6))


def with_params(rnn, params):
    params = {name: jnp.asarray(value.detach().numpy()) for name, value in params.items()}
    where = lambda r: r.stack.layers[0].forward.params  # noqa: E731
    assert {k: v.shape for k, v in where(rnn).items()} == {k: v.shape for k, v in params.items()}
    return eqx.tree_at(where, rnn, params)


def test_lstm_is_the_one_of_ncps(x64):
    torch.manual_seed(0)
    peer = LSTMCell(2, 4).double()
    h = c = torch.zeros(3, 4, dtype=torch.float64)
    expected = []
    for t in range(6):
        h, c = peer(torch.tensor(X[:, t]), (h, c))
        expected.append(h.detach().numpy())
    params = {
        "input_weight": peer.input_map.weight,
        "input_bias": peer.input_map.bias,
        "recurrent_weight": peer.recurrent_map.weight,
    }
    output, state = with_params(LSTM(2, 4, dtype="float64", key=0), params)(X)
    np.testing.assert_allclose(output, np.stack(expected, 1), atol=1e-12)
    np.testing.assert_allclose(state[1], c.detach(), atol=1e-12)


def test_gru_is_the_one_of_pytorch(x64):
    torch.manual_seed(0)
    peer = torch.nn.GRU(2, 4, batch_first=True).double()
    expected, last = peer(torch.tensor(X))
    hidden_bias = peer.bias_hh_l0
    both = torch.cat([peer.bias_ih_l0[:8] + hidden_bias[:8], peer.bias_ih_l0[8:]])
    params = {
        "input_weight": peer.weight_ih_l0,
        "input_bias": both,
        "recurrent_weight": peer.weight_hh_l0,
        "candidate_bias": hidden_bias[8:],
    }
    output, state = with_params(GRU(2, 4, dtype="float64", key=0), params)(X)
    np.testing.assert_allclose(output, expected.detach(), atol=1e-12)
    np.testing.assert_allclose(state, last[0].detach(), atol=1e-12)


@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_time_is_an_input_only_if_asked(kind):
    blind, aware = kind(2, 4, key=0), kind(2, 4, use_timespans=True, key=0)
    np.testing.assert_array_equal(blind(X, timespans=ELAPSED)[0], blind(X)[0])
    assert aware.input_size == 2
    # Δt is the last column of the weights
    wide = eqx.tree_at(
        lambda r: r.stack.layers[0].forward.params,
        kind(3, 4, key=1),
        aware.stack.layers[0].forward.params,
    )
    joined = np.concatenate([X, ELAPSED[..., None]], -1)
    np.testing.assert_allclose(aware(X, timespans=ELAPSED)[0], wide(joined)[0], atol=1e-6)
