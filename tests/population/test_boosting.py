"""Boosting: its rounds against scikit-learn's, its sums against what they promise."""

import equinox as eqx
import jax
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

import shoal
from shoal.equations import boosting
from shoal.equations.outputs import Categorical, Normal


class Small(eqx.Module):
    """A member with one hidden layer; `answer` makes its prediction."""

    mlp: eqx.nn.MLP
    answer: object = eqx.field(static=True)

    def __init__(self, key, outputs=1, width=4, answer=lambda numbers: numbers):
        self.mlp = eqx.nn.MLP(2, outputs, width, 1, key=key)
        self.answer = answer

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return self.answer(jax.vmap(self.mlp)(x))


def as_classes(numbers):
    return Categorical(numbers)


RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, (300, 2)).astype(np.float32)
REAL = (np.sin(2 * X[:, :1]) + 0.5 * X[:, 1:]).astype(np.float32)
CLASS = ((X**2).sum(1) > 2).astype(np.int32) + (X[:, 0] > 1)
OPTIONS = {"epochs": 15, "batch_size": 32, "learning_rate": 2e-2, "stopping": None}


def boosted(regime, make, y, n=4):
    people = shoal.Population.init(make, n)
    return shoal.fit(people, (X[:200], y[:200]), (X[200:], y[200:]), regime=regime, **OPTIONS)


def test_samme_weighs_as_scikit_learn_does():
    y = CLASS
    peer = AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=4).fit(X, y)
    weights = np.full(len(y), 1 / len(y))
    for tree, say in zip(peer.estimators_, peer.estimator_weights_, strict=True):
        found = boosting.samme(weights, (tree.predict(X) != y).astype(float), 3)
        np.testing.assert_allclose(found.say, say, rtol=1e-9)
        weights = found.weights / found.weights.sum()
        again = DecisionTreeClassifier(max_depth=2, random_state=0)
        again.fit(X, y, sample_weight=weights)


def test_r2_by_hand():
    weights, errors = np.array([0.1, 0.2, 0.2, 0.5]), np.array([0.0, 1.0, 2.0, 0.5])
    mean = (weights * errors / 2).sum()
    beta = mean / (1 - mean)
    found = boosting.r2(weights, errors)
    np.testing.assert_allclose(found.say, np.log(1 / beta))
    np.testing.assert_allclose(found.weights, weights * beta ** (1 - errors / 2))


def test_no_better_than_chance_has_no_say():
    assert boosting.samme(np.ones(4), np.array([1, 1, 1, 0]), 2).say is None
    assert boosting.r2(np.ones(4), np.array([1.0, 1.0, 1.0, 0.9])).say is None


def test_the_best_step_of_classes_is_scipy_s():
    y, f, g = RNG.integers(0, 3, 40), RNG.normal(size=(40, 3)), RNG.normal(size=(40, 3))
    g[np.arange(40), y] += 1.0

    def loss(step):
        logits = f + step * g
        return (np.log(np.exp(logits).sum(-1)) - logits[np.arange(40), y]).sum()

    expected = minimize_scalar(loss, bounds=(0, 64), method="bounded", options={"xatol": 1e-10}).x
    np.testing.assert_allclose(boosting.best_class_step(y, f, g, np.ones(40)), expected, atol=1e-6)


def test_residuals_are_the_gradient():
    y, f = RNG.integers(0, 3, 5), RNG.normal(size=(5, 3))

    def loss(f):
        return (np.log(np.exp(f).sum(-1)) - f[np.arange(5), y]).sum()

    numeric = np.zeros_like(f)
    for i in np.ndindex(f.shape):
        step = np.zeros_like(f)
        step[i] = 1e-6
        numeric[i] = -(loss(f + step) - loss(f - step)) / 2e-6
    np.testing.assert_allclose(boosting.class_residuals(y, f), numeric, atol=1e-8)


@pytest.mark.parametrize(
    ("make", "y"),
    [
        (Small, REAL),
        (lambda key: Small(key, 3, answer=as_classes), CLASS.astype(np.int32)),
    ],
)
def test_every_member_of_a_sum_lowers_its_loss(make, y):
    fitted = boosted("gradient_boosting", make, y)
    rule = fitted.weighting
    answers = fitted.population(X[:200])
    numbers = np.asarray(answers.logits if isinstance(answers, Categorical) else answers, float)
    total, losses = np.asarray(rule["intercept"]), []
    total = np.broadcast_to(total, numbers.shape[1:])
    for step, part in zip(rule["weights"], numbers, strict=True):
        total = total + step * part
        if y is REAL:
            losses.append(((total - y[:200]) ** 2).mean())
        else:
            p = np.exp(total) / np.exp(total).sum(-1, keepdims=True)
            losses.append(-np.log(p[np.arange(200), y[:200]]).mean())
    assert (np.diff(losses) < 0).all()


def test_members_of_a_sum_answer_numbers():
    def make(key):
        return Small(key, answer=lambda numbers: Normal(numbers, 1.0 + numbers**2))

    with pytest.raises(ValueError, match="adds up numbers; members answered normal"):
        boosted("gradient_boosting", make, REAL)
