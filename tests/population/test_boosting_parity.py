"""Boosting beside scikit-learn's: the same members and samples give the same weights and answers.

Members are scikit-learn's own trees, asked by our regimes in place of networks.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from shoal.equations.outputs import Categorical
from shoal.population.regimes import AdaBoost, GradientBoosting
from shoal.population.samples import as_samples
from shoal.weighting import combined, resolve

RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, (300, 2))
REAL = np.sin(2 * X[:, 0]) + 0.5 * X[:, 1]
CLASS = ((X**2).sum(1) > 2).astype(int) + (X[:, 0] > 1)
ASKED = SimpleNamespace(x=X[:, None], timespans=None, mask=None)
N = 5


def run(regime, y, said):
    """A regime's rounds over members that answered `said`: sample weights, weighting."""
    train = as_samples((X, y), "train")
    stages = regime.plan(len(said), tuple(range(len(said))), train, None).stages

    def answers(member, of_valid):
        assert not of_valid
        return said[member]

    changes = [stages.begin(stage, answers) for stage in range(len(said))]
    return changes, stages.finish(answers)


def predicted(weighting, outputs):
    return combined(resolve(weighting), outputs, ASKED).mean


def test_samme():
    peer = AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=N, random_state=0)
    peer.fit(X, CLASS)
    votes = [np.eye(3)[tree.predict(X)] * 9 for tree in peer.estimators_]
    changes, weighting = run(AdaBoost(), CLASS, [Categorical(v) for v in votes])
    says = peer.estimator_weights_ / peer.estimator_weights_.sum()
    np.testing.assert_allclose(weighting["weights"], says, rtol=1e-9)
    chosen = predicted(weighting, Categorical(np.stack(votes))).argmax(-1)
    np.testing.assert_array_equal(chosen, peer.predict(X))
    for place, tree in enumerate(peer.estimators_):  # grown on the weights that we would give
        own = changes[place].row_weights[place]
        again = DecisionTreeClassifier(max_depth=2, random_state=tree.random_state)
        again.fit(X, CLASS, sample_weight=own)
        assert (again.predict(X) == tree.predict(X)).mean() > 0.99


def test_r2():
    peer = AdaBoostRegressor(DecisionTreeRegressor(max_depth=3), n_estimators=N, random_state=0)
    peer.fit(X, REAL)
    said = [tree.predict(X)[:, None] for tree in peer.estimators_]
    _, weighting = run(AdaBoost(), REAL[:, None], said)
    says = peer.estimator_weights_ / peer.estimator_weights_.sum()
    np.testing.assert_allclose(weighting["weights"], says, rtol=1e-9)
    found = predicted(weighting, np.stack(said))
    np.testing.assert_allclose(found[:, 0], peer.predict(X), rtol=1e-12)


@pytest.mark.parametrize("shrinkage", [1.0, 0.3])
def test_gradient_boosting_of_real_targets(shrinkage):
    peer = GradientBoostingRegressor(n_estimators=N, learning_rate=shrinkage, random_state=0)
    peer.fit(X, REAL)
    said = [tree.predict(X)[:, None] for tree in peer.estimators_[:, 0]]
    changes, weighting = run(GradientBoosting(shrinkage), REAL[:, None], said)
    # a tree's leaves are means of the residuals: the best step along it is 1
    np.testing.assert_allclose(weighting["weights"], np.full(N, shrinkage), rtol=1e-6)
    found = predicted(weighting, np.stack(said))
    np.testing.assert_allclose(found[:, 0], peer.predict(X), rtol=1e-5, atol=1e-6)
    for place, stage in enumerate(peer.staged_predict(X)):
        if place + 1 < N:
            left = changes[place + 1].targets[place + 1][:, 0]
            np.testing.assert_allclose(left, REAL - stage, atol=1e-5)


def test_gradient_boosting_of_classes_begins_with_the_same_residuals():
    peer = GradientBoostingClassifier(n_estimators=1, random_state=0).fit(X, CLASS)
    said = [Categorical(np.stack([t.predict(X) for t in peer.estimators_[0]], -1))]
    changes, weighting = run(GradientBoosting(), CLASS, said)
    shares = np.bincount(CLASS) / len(CLASS)
    np.testing.assert_allclose(np.exp(weighting["intercept"]), shares)
    np.testing.assert_allclose(changes[0].targets[0], np.eye(3)[CLASS] - shares, atol=1e-6)
    grown = DecisionTreeRegressor(max_depth=3, random_state=0)
    grown.fit(X, changes[0].targets[0][:, 0])
    leaves = peer.estimators_[0, 0].apply(X)
    same = [len(np.unique(grown.apply(X)[leaves == leaf])) for leaf in np.unique(leaves)]
    assert np.mean(same) < 1.5  # the same regions but for ties between splits
