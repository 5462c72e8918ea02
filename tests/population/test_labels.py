"""Class labels that members do not know, or that are all the same, are refused in a sentence."""

from types import SimpleNamespace

import equinox as eqx
import jax
import numpy as np
import pytest

import shoal
from shoal.equations.outputs import Categorical
from shoal.population import Population
from shoal.population.sharing import BatchEnsemble

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
CLASSES = np.arange(12) % 2
ASKED = {"epochs": 1, "learning_rate": 1e-2}


class Classifier(eqx.Module):
    head: eqx.nn.Linear

    def __init__(self, key, classes=2):
        self.head = eqx.nn.Linear(3, classes, key=key)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return Categorical(jax.vmap(self.head)(x))


@pytest.fixture(scope="module")
def crowd():
    return Population.init(Classifier, 2)


def with_label(label):
    y = CLASSES.copy()
    y[[4, 7]] = label
    return y


@pytest.mark.parametrize("regime", ["independent", "joint", "adaboost", "gradient_boosting"])
@pytest.mark.parametrize("label", [5, 2, -3])
def test_a_label_that_is_no_class_is_refused(crowd, label, regime):
    message = f"`train`: y of sample 4 is class {label}, but members know 2 classes, 0 to 1; number"
    with pytest.raises(ValueError, match=message):
        shoal.fit(crowd, (X, with_label(label)), regime=regime, **ASKED)


def test_so_it_is_in_validation_and_of_any_structure_and_sharing(crowd):
    with pytest.raises(ValueError, match="`valid`: y of sample 4 is class 5"):
        shoal.fit(crowd, (X, CLASSES), (X, with_label(5)), **ASKED)
    makes = [lambda key: Classifier(key, 6), Classifier]
    with pytest.raises(ValueError, match="members know 2 classes"):
        shoal.fit(Population.init(makes, 2), (X, with_label(5)), **ASKED)
    shared = Population.init(Classifier, 2, sharing=BatchEnsemble())
    with pytest.raises(ValueError, match="members know 2 classes"):
        shoal.fit(shared, (X, with_label(5)), **ASKED)


@pytest.mark.parametrize("regime", ["independent", "adaboost", "gradient_boosting"])
def test_training_samples_of_one_class_are_refused(crowd, regime):
    with pytest.raises(ValueError, match="`train`: y holds only class 1, so there is nothing to"):
        shoal.fit(crowd, (X, np.ones(12, int)), regime=regime, **ASKED)


def test_what_is_masked_does_not_count(crowd):
    def data(known):
        mask = np.isin(np.arange(12), known)
        parts = {"timespans": None, "mask": None, "y": with_label(5), "y_mask": mask}
        return SimpleNamespace(x=X, **parts)

    with pytest.raises(ValueError, match="sample 7 is class 5"):
        shoal.fit(crowd, data([0, 1, 7]), **ASKED)
    with pytest.raises(ValueError, match="only class 0"):
        shoal.fit(crowd, data([0, 2]), **ASKED)
    with pytest.raises(ValueError, match="y holds no class"):
        shoal.fit(crowd, data([]), **ASKED)
    assert shoal.fit(crowd, data([0, 1, 2]), (X, np.ones(12, int)), **ASKED).usable == [0, 1]


def test_a_loss_of_ones_own_may_mean_anything_by_them(crowd):
    def loss(prediction, y, known):
        return (prediction.logits[:, 0] - y) ** 2

    assert shoal.fit(crowd, (X, with_label(5)), loss=loss, **ASKED).usable == [0, 1]


def test_integers_that_are_no_classes_are_numbers(dense):
    y = with_label(5)[:, None]
    assert shoal.fit(Population.init(dense, 1), (X, y), **ASKED).usable == [0]
