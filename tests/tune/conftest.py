"""Small members and data, and a configuration with a search in it."""

import importlib.util
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest

from shoal.neurons.frozen import Dropout

_spec = importlib.util.spec_from_file_location(
    "layout", Path(__file__).parents[1] / "run/conftest.py"
)
layout = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(layout)

TUNE = """
tune:
  trials: 5
  batch: 3
  method: random
  space:
    training.learning_rate: {low: 1.0e-3, high: 0.1, log: true}
    model.time_scaling: [raw, log, normalised]
"""


class Dense(eqx.Module):
    """A small MLP with dropout."""

    mlp: eqx.nn.MLP
    dropout: Dropout

    def __init__(self, key, width=6):
        self.mlp = eqx.nn.MLP(3, 1, width, 1, key=key)
        self.dropout = Dropout(0.0)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return jax.vmap(self.mlp)(self.dropout(x, key))


def rows(n=48, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    return x, np.sin(x.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="session")
def dense():
    return Dense


@pytest.fixture(scope="session")
def data():
    """Training and validation samples."""
    return rows(), rows(20, 1)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A folder to run in, with `c.yaml`, which has a search, and its data."""
    monkeypatch.chdir(tmp_path)
    layout.lay_out(tmp_path, layout.CONFIG + TUNE)
    return tmp_path


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
