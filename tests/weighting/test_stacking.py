"""Stacking with any meta-model, beside scikit-learn's on the same inputs."""

import json

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestRegressor, StackingClassifier, StackingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from shoal.data.folds import make_folds
from shoal.equations.meta import Layers
from shoal.equations.outputs import Categorical, Normal
from shoal.weighting import Evidence, Stacking, describe, moments_of, resolve

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=(60, 2))
POINTS = TRUTH + RNG.normal(size=(3, 60, 2)) * np.array([0.3, 0.6, 2.0])[:, None, None]
CLASS = RNG.integers(0, 3, 60)
CLASSES = Categorical(RNG.normal(size=(3, 60, 3)) + 2 * np.eye(3)[CLASS])


def evidence_of(estimators, x, y, folds, method):
    """Out-of-fold predictions of scikit-learn's estimators, on folds that Shoal has checked."""
    pairs = [tuple(fold) for fold in make_folds(type("Data", (), {"x": x, "y": y}), folds)]
    said = np.stack(
        [cross_val_predict(one, x, y, cv=pairs, method=method) for _, one in estimators]
    )
    if method == "predict":
        return Evidence(np.ones(len(said)), said[..., None], y[:, None])
    with np.errstate(divide="ignore"):
        return Evidence(np.ones(len(said)), Categorical(np.log(said)), y)


@pytest.mark.parametrize(
    "meta", [Ridge(), LinearRegression(), RandomForestRegressor(5, random_state=0)]
)
def test_scikit_learn_s_stacking_of_regressors(meta):
    x, y = load_diabetes(return_X_y=True)
    train, test = slice(0, 300), slice(300, 400)
    estimators = [
        ("near", KNeighborsRegressor(5)),
        ("line", Ridge()),
        ("far", KNeighborsRegressor(50)),
    ]
    folds = KFold(4, shuffle=True, random_state=0)
    peer = StackingRegressor(estimators, final_estimator=meta, cv=folds).fit(x[train], y[train])
    rule = Stacking(meta).fit(evidence_of(estimators, x[train], y[train], folds, "predict"))
    said = np.stack([one.fit(x[train], y[train]).predict(x[test]) for _, one in estimators])
    found = moments_of(rule, said[..., None]).mean[:, 0]
    np.testing.assert_allclose(found, peer.predict(x[test]), rtol=1e-9)
    if not isinstance(meta, RandomForestRegressor):
        weights = np.array(rule.model.weights[0])[:, 0]
        np.testing.assert_allclose(weights, peer.final_estimator_.coef_, rtol=1e-9)
        assert resolve(json.loads(json.dumps(describe(rule)))).model == rule.model


def test_linear_without_ridge_is_scikit_learn_s_stacking_too():
    x, y = load_diabetes(return_X_y=True)
    estimators = [("near", KNeighborsRegressor(5)), ("line", Ridge())]
    folds = KFold(3)
    peer = StackingRegressor(estimators, final_estimator=LinearRegression(), cv=folds).fit(x, y)
    rule = Stacking("linear", ridge=0.0).fit(evidence_of(estimators, x, y, folds, "predict"))
    np.testing.assert_allclose(rule.coefficients, peer.final_estimator_.coef_, rtol=1e-6)
    np.testing.assert_allclose(rule.intercept, peer.final_estimator_.intercept_, rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "meta", [LogisticRegression(), DecisionTreeClassifier(max_depth=3, random_state=0)]
)
def test_scikit_learn_s_stacking_of_classifiers(classes, meta):
    x, y = load_iris(return_X_y=True)
    x, y = x[y > 2 - classes, :2], y[y > 2 - classes] - (3 - classes)  # the hard ones
    estimators = [("near", KNeighborsClassifier(5)), ("bayes", GaussianNB())]
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    peer = StackingClassifier(estimators, final_estimator=meta, cv=folds).fit(x, y)
    rule = Stacking(meta).fit(evidence_of(estimators, x, y, folds, "predict_proba"))
    said = np.log(np.stack([one.fit(x, y).predict_proba(x) for _, one in estimators]) + 1e-300)
    found = moments_of(rule, Categorical(said)).mean
    np.testing.assert_allclose(found, peer.predict_proba(x), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("meta", ["mlp", Ridge()])
@pytest.mark.parametrize("predictions", [POINTS, Normal(POINTS, np.ones_like(POINTS))])
def test_one_model_answers_every_output_and_is_saved(meta, predictions):
    y = TRUTH.copy()
    y[5, 1] = np.nan  # a truth that is not known
    rule = Stacking(meta).fit(Evidence(np.ones(3), predictions, y))
    assert isinstance(rule.model, Layers)
    assert rule.weights(3).argmax() == 0
    mean = moments_of(rule, predictions).mean
    assert ((mean - TRUTH) ** 2).mean() < ((POINTS.mean(0) - TRUTH) ** 2).mean()
    again = resolve(json.loads(json.dumps(describe(rule))))
    np.testing.assert_array_equal(moments_of(again, predictions).mean, mean)


@pytest.mark.parametrize(
    "meta", ["mlp", "logistic", MLPClassifier((4,), solver="lbfgs", max_iter=1000)]
)
def test_classes_that_no_row_had_are_never_answered(meta):
    kept = CLASS != 1
    said = Categorical(CLASSES.logits[:, kept])
    rule = Stacking(meta).fit(Evidence(np.ones(3), said, CLASS[kept]))
    found = moments_of(rule, CLASSES).mean
    np.testing.assert_allclose(found.sum(-1), 1.0)
    np.testing.assert_array_equal(found[:, 1], 0.0)
    assert (found[kept].argmax(-1) == CLASS[kept]).mean() > 0.8
    assert isinstance(resolve(json.loads(json.dumps(describe(rule)))).model, Layers)


def test_the_model_that_was_given_stays_as_it_was():
    meta = Ridge()
    Stacking(meta).fit(Evidence(np.ones(3), POINTS, TRUTH))
    assert not hasattr(meta, "coef_")


class Half:
    """No model of scikit-learn's, but with its methods."""

    def fit(self, columns, target):
        self.scale = target.std()
        return self

    def predict(self, columns):
        return columns[:, 0] / 2


def test_models_of_one_s_own_work_but_are_not_saved():
    rule = Stacking(Half()).fit(Evidence(np.ones(3), POINTS, TRUTH))
    np.testing.assert_allclose(moments_of(rule, POINTS).mean, POINTS[0] / 2)
    with pytest.raises(ValueError, match="the meta-model Half cannot be saved"):
        describe(rule)
    import jax.numpy as jnp

    with pytest.raises(ValueError, match="Half answers NumPy arrays only"):
        moments_of(rule, jnp.asarray(POINTS))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stacking("forest"), "must be one of linear, non_negative, logistic, mlp"),
        (lambda: Stacking(3.0), "float has not"),
        (lambda: Stacking(folds=1), "`folds` must be at least 2, got 1"),
        (lambda: Stacking(order="random"), "`order` must be one of shuffled, time"),
        (lambda: Stacking(gap=-1.0), "`gap` must be at least 0"),
        (lambda: Stacking("logistic").fit(Evidence(np.ones(3), POINTS, TRUTH)), "is for classes"),
        (lambda: Stacking(Ridge()).fit(Evidence(np.ones(3), CLASSES, CLASS)), "`predict_proba`"),
        (lambda: Stacking().fit(Evidence(np.ones(3), POINTS, 0 * TRUTH + np.nan)), "no row whose"),
        (lambda: describe(Stacking(Ridge())), "the meta-model Ridge cannot be saved"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("xp", [np, torch])
def test_members_that_are_worth_nothing_share_the_uncertainty(xp):
    """Non-negative coefficients may all be 0: the answer is 0, and its spread is a number."""
    said = np.stack([TRUTH, TRUTH]) - 3 * TRUTH  # each says the opposite, and too little
    rule = Stacking("non_negative").fit(Evidence(np.ones(2), said, TRUTH))
    assert rule.coefficients == (0.0, 0.0)
    found = moments_of(rule, xp.asarray(said))
    np.testing.assert_array_equal(np.asarray(found.mean), 0.0)
    assert np.isfinite(np.asarray(found.epistemic)).all()
