"""Small members and data for the tests of training."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import shoal
from shoal.neurons.frozen import Dropout


class Dense(eqx.Module):
    """A small MLP with dropout."""

    mlp: eqx.nn.MLP
    dropout: Dropout

    def __init__(self, key, width=8, outputs=1, rate=0.0):
        self.mlp = eqx.nn.MLP(3, outputs, width, 1, key=key)
        self.dropout = Dropout(rate)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return jax.vmap(self.mlp)(self.dropout(x, key))


class Recurrent(eqx.Module):
    """A small recurrent member over (batch, time, features) that uses timespans and masks."""

    inward: jax.Array
    within: jax.Array
    outward: jax.Array

    def __init__(self, key, units=6):
        a, b, c = jax.random.split(key, 3)
        self.inward = jax.random.normal(a, (2, units)) * 0.5
        self.within = jax.random.normal(b, (units, units)) * 0.3
        self.outward = jax.random.normal(c, (units, 1)) * 0.5

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        def step(h, xs):
            x_t, dt, kept = xs
            new = jnp.tanh(x_t @ self.inward + h @ self.within) * jnp.exp(-0.1 * dt)[:, None]
            return jnp.where(kept[:, None], new, h), None

        mask = jnp.ones(x.shape[:2], bool) if mask is None else mask
        start = jnp.zeros((x.shape[0], self.within.shape[0]), x.dtype)
        xs = (x.swapaxes(0, 1), timespans.T, mask.T)
        return jax.lax.scan(step, start, xs)[0] @ self.outward


def dense_data(n=70, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    return x, np.sin(x.sum(axis=1, keepdims=True)).astype(np.float32)


def recurrent_data(n=24, time=7, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, time, 2)).astype(np.float32)
    timespans = rng.uniform(0.1, 2.0, (n, time)).astype(np.float32)
    return x, timespans, x.sum(axis=(1, 2))[:, None].astype(np.float32) * 0.2


def train_sharded(strategy, n, regime="independent"):
    """A training in which two members stop early; its arrays by name."""
    rates = np.full(n, 1e-2)
    rates[[0, 2]] = 0.0
    fitted = shoal.fit(
        shoal.Population.init(Dense, n),
        dense_data(37),
        dense_data(20, 1),
        epochs=8,
        batch_size=16,
        learning_rate=rates,
        dropout=0.1,
        strategy=strategy,
        regime=regime,
        patience=3,
        stopping=None,
    )
    leaves = jax.tree.leaves(eqx.filter(fitted.last, eqx.is_array))
    arrays = {str(i): np.asarray(leaf) for i, leaf in enumerate(leaves)}
    return {**arrays, "epochs": np.array([s["epochs"] for s in fitted.status])}


def train_killable(checkpoint=None, on_epoch=None):
    """A training long enough to be killed on the way; its arrays."""
    fitted = shoal.fit(
        shoal.Population.init(Dense, 4),
        dense_data(60),
        dense_data(20, 1),
        epochs=120,
        batch_size=16,
        learning_rate=1e-2,
        dropout=0.2,
        stopping=None,
        checkpoint=checkpoint,
        on_epoch=on_epoch,
    )
    return [np.asarray(a) for a in jax.tree.leaves(eqx.filter(fitted.last, eqx.is_array))]


@pytest.fixture(scope="session")
def sharded():
    return train_sharded


@pytest.fixture(scope="session")
def killable():
    return train_killable


@pytest.fixture(scope="session")
def dense():
    return Dense


@pytest.fixture(scope="session")
def recurrent():
    return Recurrent


@pytest.fixture(scope="session")
def samples():
    """`samples(kind, n, seed)`: training data for the members of that kind."""
    makers = {"dense": dense_data, "recurrent": recurrent_data}
    return lambda kind, n, seed=0: makers[kind](n=n, seed=seed)


@pytest.fixture(scope="session")
def same():
    """`same(a, b, tolerance=0)`: whether two pytrees hold the same arrays."""

    def compare(a, b, tolerance=0.0):
        for one, other in zip(
            jax.tree.leaves(eqx.filter(a, eqx.is_array)),
            jax.tree.leaves(eqx.filter(b, eqx.is_array)),
            strict=True,
        ):
            np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)
        return True

    return compare


@pytest.fixture
def compilations():
    """A list that grows by one with every program that is compiled."""
    found = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)
