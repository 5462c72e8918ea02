"""Members of other libraries, beside each other and beside JAX's own."""

import equinox as eqx
import jax
import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression

from shoal.collective import Collective
from shoal.population import Population

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))


class Affine(eqx.Module):
    w: jax.Array

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return x @ self.w


class TorchModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def forward(self, x, timespans):
        return self.layer(x), None  # an output and a state


def test_every_library_in_one_crowd():
    y = X @ np.ones((3, 1))
    model = TorchModel()
    members = [
        lambda x, timespans: x[:, :1],
        LinearRegression().fit(X, y),
        model,
        Affine(jax.numpy.ones((3, 1))),
    ]
    p = Collective.of(members).predict(X)
    assert p.members.shape == (4, 20, 1)
    np.testing.assert_allclose(p.members[0], X[:, :1], rtol=1e-6)
    np.testing.assert_allclose(p.members[1], y, atol=1e-5)
    want = model.layer(torch.as_tensor(X, dtype=torch.float32)).detach()
    np.testing.assert_allclose(p.members[2], want, rtol=1e-5)
    np.testing.assert_allclose(p.members[3], y, atol=1e-5)


def test_pytrees_stay_a_population():
    crowd = Collective.of([Affine(jax.numpy.ones((3, 1))), Affine(jax.numpy.zeros((3, 1)))])
    assert isinstance(crowd.population, Population)
    np.testing.assert_allclose(crowd.predict(X).mean[:, 0], X.sum(1) / 2, rtol=1e-4, atol=1e-5)


def test_classifiers_average_probabilities():
    labels = (X[:, 0] > 0).astype(int)
    members = [LogisticRegression(C=c).fit(X, labels) for c in (0.1, 10.0)]
    found = Collective.of(members).predict(X).probabilities
    want = np.mean([m.predict_proba(X.astype(np.float32)) for m in members], axis=0)
    np.testing.assert_allclose(found, want, rtol=1e-6)


def test_unlike_answers_are_refused():
    crowd = Collective.of([lambda x, t: x[:, :1], lambda x, t: x[:, 0]])
    with pytest.raises(ValueError, match="answer alike"):
        crowd.predict(X)


def test_a_mask_nobody_can_be_told_of_is_refused():
    crowd = Collective.of([lambda x, t: x[:, 0]])
    with pytest.raises(ValueError, match="cannot be told of a mask"):
        crowd.predict(np.zeros((2, 3, 1)), 1.0, np.ones((2, 3), bool))
