"""Out-of-fold predictions: nobody is asked about what it was trained on."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import shoal
from shoal.collective import folded, out_of_fold
from shoal.weighting import Evidence, Greedy, Learned, Stacking

ROWS = 80
OPTIONS = {"epochs": 40, "batch_size": 20, "learning_rate": 0.1}


class Memory(eqx.Module):
    """A number for each row, which is its first feature: it learns all noise, and nothing else."""

    table: jax.Array

    def __init__(self, key):
        self.table = jax.random.normal(key, (ROWS,))

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return self.table[x[:, 0].astype(int)][:, None]


class Line(eqx.Module):
    """Linear in the other features."""

    w: jax.Array

    def __init__(self, key):
        self.w = jax.random.normal(key, (3, 1))

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return x[:, 1:] @ self.w


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = np.concatenate([np.arange(ROWS)[:, None], rng.normal(size=(ROWS, 3))], 1)
    y = x[:, 1:] @ [[1.0], [-1.0], [0.5]] + rng.normal(0, 0.5, (ROWS, 1))
    return x.astype(np.float32), y.astype(np.float32)


def test_who_memorises_noise_gets_no_weight(data):
    crowd = shoal.Population.init([Memory, Line], 2)
    found = out_of_fold(crowd, data, folds=4, **OPTIONS)
    fitted = shoal.fit(crowd, data, stopping=None, **OPTIONS)
    answers = np.asarray(fitted.population(jnp.asarray(data[0])))
    leaky = Evidence(np.ones(2), answers, data[1])  # of the rows that it was trained on
    for rule in (Stacking("linear"), Stacking(), Learned(), Greedy()):
        assert rule.fit(leaky).weights(2)[0] > 0.8, rule
        w = rule.fit(found.evidence).weights(2)
        assert abs(w[0]) < 0.1, rule
        assert w[1] > 0.9, rule
    assert found.evidence.losses[0] > 4 * found.evidence.losses[1]


@pytest.mark.parametrize(
    ("regime", "order"),
    [
        ("independent", "shuffled"),
        ("independent", "time"),
        ("bagging", "shuffled"),
        ("joint", "time"),
        ("snapshot", "shuffled"),
    ],
)
def test_truths_that_are_asked_about_reach_nobody(data, regime, order):
    """A planted leak: the truths of a fold are replaced, and what is said of it stays."""
    x, y = data
    crowd = shoal.Population.init(Line, 2)
    given = {"folds": 2, "order": order, "regime": regime, **OPTIONS, "epochs": 3}
    found = out_of_fold(crowd, (x, y), (x[:8], y[:8]), **given)
    last = found.folds[-1]
    planted = y.copy()
    planted[last.test] = 1e3
    again = out_of_fold(crowd, (x, planted), (x[:8], y[:8]), **given)
    own = np.isin(found.rows, last.test)
    said, now = found.evidence.predictions, again.evidence.predictions
    np.testing.assert_array_equal(now[:, own], said[:, own])
    if order == "shuffled":  # others were trained on those rows: they say something else
        assert (np.abs(now[:, ~own] - said[:, ~own]) > 0).all()
    else:  # nobody was trained on the last
        np.testing.assert_array_equal(now, said)
        assert found.rows.min() == found.folds[0].test.min() > 0


def test_folds_and_members_are_one_population(data, monkeypatch):
    sizes = []

    def counted(population, *arguments, **options):
        sizes.append(len(population))
        return shoal.fit(population, *arguments, **options)

    monkeypatch.setattr(folded, "fit", counted)
    crowd = shoal.Population.init(Line, 2)
    rates = {**OPTIONS, "epochs": 3, "learning_rate": np.array([0.1, 0.0])}
    found = out_of_fold(crowd, data, folds=2, **rates)
    assert sizes == [4]
    begun = np.asarray(crowd(jnp.asarray(data[0])))
    np.testing.assert_allclose(found.evidence.predictions[1], begun[1], rtol=1e-5)
    assert (found.evidence.predictions[0] != begun[0]).any()


def test_who_diverges_on_a_fold_is_named_and_can_be_left_out(data):
    rates = {**OPTIONS, "epochs": 3, "optimizer": "sgd", "learning_rate": np.array([1e-2, 1e30])}
    crowd = shoal.Population.init(Line, 2)
    found = out_of_fold(crowd, data, folds=2, **rates)
    assert found.diverged == ((1, 0), (1, 1))
    assert found.usable == [0]
    assert np.isnan(found.evidence.losses[1])
    with pytest.raises(ValueError, match="members 1 predict NaN"):
        Stacking().fit(found.evidence)
    assert Stacking().fit(found.select([0]).evidence).weights(1).shape == (1,)


def test_regimes_that_bring_their_weights_are_refused(data):
    with pytest.raises(ValueError, match="'adaboost' brings its own weights"):
        out_of_fold(shoal.Population.init(Line, 2), data, regime="adaboost")
