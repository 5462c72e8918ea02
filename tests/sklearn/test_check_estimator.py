"""Everything that scikit-learn asks of an estimator."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from shoal.sklearn import CollectiveClassifier, CollectiveRegressor

SMALL = {"n_models": 2, "width": 16, "layers": 1, "epochs": 15, "learning_rate": 3e-2}


@parametrize_with_checks([CollectiveRegressor(**SMALL), CollectiveClassifier(**SMALL)])
def test_scikit_learn_s_own_checks(estimator, check):
    check(estimator)
