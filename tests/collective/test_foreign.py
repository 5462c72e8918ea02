"""Members of other libraries, beside each other and beside JAX's own."""

import equinox as eqx
import jax
import mlx.core as mx
import mlx.nn
import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

import shoal.torch
from shoal.collective import Collective
from shoal.equations.outputs import Normal
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


class MlxModel(mlx.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = mlx.nn.Linear(3, 1)
        self.dropout = mlx.nn.Dropout(0.9)

    def __call__(self, x, timespans):
        return self.dropout(self.layer(x))


def test_every_library_in_one_crowd():
    y = X @ np.ones((3, 1))
    model, other = TorchModel(), MlxModel()
    members = [
        lambda x, timespans: x[:, :1],
        LinearRegression().fit(X, y),
        model,
        Affine(jax.numpy.ones((3, 1))),
        other,
    ]
    other.layer.eval()
    p = Collective.of(members).predict(X)
    assert p.members.shape == (5, 20, 1)
    want = other.layer(mx.array(X.astype(np.float32)))
    np.testing.assert_allclose(p.members[4], np.array(want), rtol=1e-5, atol=1e-6)
    assert other.training
    assert other.dropout.training
    assert not other.layer.training
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


def test_predictors_of_one_target_stand_beside_columns():
    boosted = HistGradientBoostingRegressor(max_iter=2).fit(X, X[:, 0])  # answers (batch,)
    p = Collective.of([boosted, torch.nn.Linear(3, 1)]).predict(X)
    np.testing.assert_allclose(p.members[0, :, 0], boosted.predict(X.astype(np.float32)))


def test_xgboost_s_predictors():
    xgboost = pytest.importorskip("xgboost")
    regressor = xgboost.XGBRegressor(n_estimators=3).fit(X, X[:, 0])
    booster, x = regressor.get_booster(), X.astype(np.float32)
    wrapped = lambda x, t: booster.predict(xgboost.DMatrix(x))[:, None]  # noqa: E731
    p = Collective.of([regressor, wrapped]).predict(X)
    np.testing.assert_allclose(p.members[..., 0], [regressor.predict(x)] * 2, rtol=1e-6)
    labels = (X[:, 0] > 0).astype(int)
    members = [xgboost.XGBClassifier(n_estimators=n).fit(X, labels) for n in (2, 5)]
    want = np.mean([m.predict_proba(x) for m in members], axis=0)
    np.testing.assert_allclose(Collective.of(members).predict(X).probabilities, want, rtol=1e-5)


def test_torch_classifiers_beside_scikit_learn_s():
    labels = (X[:, 0] > 0).astype(int)
    network, logistic = torch.nn.Linear(3, 2), LogisticRegression().fit(X, labels)
    crowd = Collective.of([network, logistic], likelihood="categorical")
    x = X.astype(np.float32)
    own = torch.softmax(network(torch.as_tensor(x)), -1).detach().double().numpy()
    want = (own + logistic.predict_proba(x)) / 2
    np.testing.assert_allclose(crowd.predict(X).probabilities, want, rtol=1e-5)
    with pytest.raises(ValueError, match=r"an array \(32, 2\).*say what plain arrays mean"):
        Collective.of([network, logistic]).predict(X)


def test_modules_that_answer_distributions_and_take_a_mask():
    module = shoal.torch.SequenceModel(shoal.torch.GRU(2, 3), shoal.torch.Head(3, (1,), "normal"))
    x, mask = RNG.normal(size=(5, 4, 2)), np.arange(4) < np.array([[4], [3], [2], [4], [1]])
    p = Collective.of([module, module]).predict(x, 1.0, mask)
    given = torch.as_tensor(x, dtype=torch.float32), torch.ones(5, 4)
    want = module(*given, mask=torch.as_tensor(mask))
    np.testing.assert_allclose(p.mean, want.mean.detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(p.std, want.std.detach(), rtol=1e-5)


def test_a_crowd_may_be_a_member():
    inner = shoal.torch.Collective([torch.nn.Linear(3, 1) for _ in range(2)])
    p = Collective.of([inner, lambda x, timespans: 0 * x[:, :1]]).predict(X)
    np.testing.assert_allclose(p.members[0], inner.predict(X).mean, rtol=1e-5, atol=1e-6)


def test_functions_may_answer_distributions():
    crowd = Collective.of([lambda x, t: Normal(x[:, :1], 0 * x[:, :1] + 2.0)] * 2)
    np.testing.assert_allclose(crowd.predict(X).aleatoric, 4.0)
    raw = Collective.of([lambda x, t: x[:, :2]] * 2, likelihood="normal").predict(X)
    np.testing.assert_allclose(raw.mean, X[:, :1], rtol=1e-6)
    np.testing.assert_allclose(raw.std, np.log1p(np.exp(X[:, 1:2])) + 1e-3, rtol=1e-5)


def test_classifiers_of_unlike_classes_are_refused():
    labels = (X[:, 0] > 0).astype(int)
    one, other = (LogisticRegression().fit(X, labels + shift) for shift in (0, 1))
    with pytest.raises(ValueError, match=r"member 0 knows \[.*0.*1.*\], member 1 \[.*1.*2.*\]"):
        Collective.of([one, other])


def test_a_likelihood_of_members_in_jax_is_refused():
    with pytest.raises(ValueError, match="members in JAX answer"):
        Collective.of([Affine(jax.numpy.ones((3, 1)))], likelihood="normal")


def test_unlike_answers_are_refused():
    crowd = Collective.of([lambda x, t: x[:, :1], lambda x, t: x[:, 0]])
    with pytest.raises(ValueError, match="answer alike"):
        crowd.predict(X)


def test_a_mask_nobody_can_be_told_of_is_refused():
    mask = np.ones((2, 3), bool)
    with pytest.raises(ValueError, match="no argument `mask`, and cannot be told of one"):
        Collective.of([lambda x, t: x[:, 0]]).predict(np.zeros((2, 3, 1)), 1.0, mask)
    with pytest.raises(ValueError, match="cannot be told of a mask"):
        Collective.of([LinearRegression()]).predict(np.zeros((2, 3, 1)), 1.0, mask)
