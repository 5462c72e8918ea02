"""Members of two structures, their kind, and crowds of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from shoal.collective import Collective
from shoal.data.scaling import fit_scaling
from shoal.data.sequences import Sequences
from shoal.equations.outputs import Categorical, Normal
from shoal.population import Population


class Recurrent(eqx.Module):
    """A small recurrent member, (batch, horizon, 1)."""

    params: dict
    answer: str = eqx.field(static=True)

    def __init__(self, features, units, answer="point", *, key):
        a, b, c = jax.random.split(key, 3)
        self.params = {
            "into": jax.random.normal(a, (features, units)) / 3,
            "back": jax.random.normal(b, (units, units)) / 3,
            "out": jax.random.normal(c, (units, 2)),
        }
        self.answer = answer

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        t = jnp.ones(x.shape[:2]) if timespans is None else timespans

        def step(h, xs):
            x_t, t_t = xs
            new = jnp.tanh(x_t @ self.params["into"] + h @ self.params["back"])
            return h + (new - h) * (1 - jnp.exp(-t_t))[:, None], None

        start = jnp.zeros((x.shape[0], self.params["back"].shape[0]), x.dtype)
        h, _ = jax.lax.scan(step, start, (x.swapaxes(0, 1), t.swapaxes(0, 1)))
        out = (h @ self.params["out"])[..., None]
        if self.answer == "normal":
            return Normal(out, jax.nn.softplus(out) + 0.1)
        return Categorical(out[..., 0]) if self.answer == "categorical" else out


class RecurrentKind:
    """Describes and builds `Recurrent`."""

    @staticmethod
    def describe(member):
        if not isinstance(member, Recurrent):
            raise TypeError(type(member).__name__)
        features, units = member.params["into"].shape
        return {"features": features, "units": units, "answer": member.answer}

    @staticmethod
    def build(description, key):
        return Recurrent(**description, key=key)


@pytest.fixture
def registered(monkeypatch):
    """The kind "recurrent" is known during one test."""
    from shoal.bundle import registry

    monkeypatch.setitem(registry._REGISTERED, "recurrent", RecurrentKind())


@pytest.fixture
def data():
    """Raw series with gaps, and targets far from 0."""
    rng = np.random.default_rng(0)
    x = 300 + 5 * rng.normal(size=(40, 6, 2))
    x[rng.random(x.shape) < 0.2] = np.nan
    x[:, 0] = 300.0
    return Sequences(x, rng.uniform(0.1, 3, (40, 6)), y=300 + 4 * rng.normal(size=(40, 2, 1)))


@pytest.fixture
def crowd_of(data):
    """`crowd_of(answer, change)`: five members of two structures, with a scaling."""

    def build(answer="point", *, change=True, n=5):
        labels = answer == "categorical"
        fitted = Sequences(data.x, data.timespans, y=None if labels else data.y)
        scaling = fit_scaling(fitted, ["a", "b"], change_of=[1] if change and not labels else None)
        size = scaling.encoded_size
        makes = [
            lambda key: Recurrent(size, 4, answer, key=key),
            lambda key: Recurrent(size, 3, answer, key=key),
        ]
        return Collective(Population.init(makes, n_models=n), scaling=scaling)

    return build
