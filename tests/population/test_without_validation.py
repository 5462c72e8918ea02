"""Without validation samples: the best parameters are such as a finite loss was measured of."""

import jax
import numpy as np
import pytest

import shoal
from shoal.population import Checkpoint, Population
from shoal.population.sharing import BatchEnsemble

WHOLE = {"batch_size": 40, "optimizer": "sgd", "stopping": None}


def losses(population, x, y):
    return ((np.asarray(population(x)) - y) ** 2).mean((1, 2))


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
@pytest.mark.parametrize("epochs", [1, 3])
def test_a_member_that_explodes_has_no_best_parameters(dense, samples, strategy, epochs):
    rates = {"learning_rate": [1e-2, 1e30, 1e-2], "strategy": strategy}
    fitted = shoal.fit(
        Population.init(dense, 3), samples("dense", 40), epochs=epochs, **rates, **WHOLE
    )
    bad = fitted.status[1]
    assert bad["status"] == "diverged"
    assert "not finite" in bad["reason"]
    assert bad["best_loss"] is None
    assert bad["final_loss"] is None
    assert fitted.usable == [0, 2]
    assert np.isnan(np.asarray(fitted.population(samples("dense", 4)[0]))).all((1, 2))[1]
    with pytest.raises(ValueError, match=r"members 1 \(seed 43\) predict values that are not"):
        shoal.Collective(fitted.population).predict(samples("dense", 4)[0])


@pytest.mark.parametrize("regime", ["independent", "joint", "bagging", "snapshot", "shared"])
def test_the_best_loss_is_that_of_the_best_parameters(dense, samples, regime):
    """With one batch an epoch's loss is that of the parameters that it begins with."""
    x, y = samples("dense", 40)
    sharing = BatchEnsemble(rows="all") if regime == "shared" else None
    population = Population.init(dense, 3, sharing=sharing)
    rates = {"learning_rate": 0.2 if sharing else [0.2, 1.5, 0.2]}
    if regime == "joint":
        rates = {"learning_rate": 0.2}
    options = {**WHOLE, **rates, "regime": "independent" if sharing else regime, "epochs": 5}
    fitted = shoal.fit(population, (x, y), **options)
    told = [one["best_loss"] for one in fitted.status]
    assert all(one["best_epoch"] is not None for one in fitted.status)
    if regime == "bagging":
        from shoal.population.regimes.bagging import bag

        errors = ((np.asarray(fitted.population(x)) - y) ** 2).mean(2)
        bags = np.array([bag(seed, 40) for seed in fitted.population.seeds])
        np.testing.assert_allclose(told, (errors * bags).sum(1) / bags.sum(1), rtol=1e-5)
    else:
        np.testing.assert_allclose(told, losses(fitted.population, x, y), rtol=1e-5)
    train = fitted.history.matrix("train_loss")
    if regime == "independent":
        later = np.vstack([train[1:], losses(fitted.last, x, y)])
        assert [one["best_epoch"] for one in fitted.status] == later.argmin(0).tolist()
        assert (np.diff(later[:, 1]) > 0).any()  # the second member overshoots


def test_the_last_parameters_are_as_training_left_them(dense, samples, same):
    data = samples("dense", 40)
    one = shoal.fit(Population.init(dense, 2), data, epochs=3, **WHOLE)
    other = shoal.fit(Population.init(dense, 2), data, data, epochs=3, **WHOLE)
    assert same(one.last, other.last)
    assert same(one.population, one.last)  # still improving: the last are the best
    assert one.history.epochs == 3


def test_nothing_is_compiled_for_the_last_question(dense, samples, compilations):
    population, compiled = Population.init(lambda key: dense(key, width=11), 4), []
    fitted = shoal.fit(
        population,
        samples("dense", 33),
        epochs=6,
        batch_size=16,
        learning_rate=[1e-2, 0.0, 1e-2, 0.0],
        optimizer="sgd",
        patience=4,
        stopping=None,
        strategy="vmap",
        on_epoch=lambda info: compiled.append(len(compilations)),
    )
    assert {one["status"] for one in fitted.status} == {"early", "finished"}
    assert compiled == [compiled[0]] * len(compiled)
    assert len(compilations) == compiled[0]


@pytest.mark.parametrize("regime", ["independent", "joint", "snapshot"])
def test_taken_up_again_it_ends_the_same(dense, samples, same, tmp_path, regime):
    def train(**more):
        options = {"epochs": 4, "batch_size": 16, "learning_rate": 0.5, "optimizer": "sgd"}
        options |= {"regime": regime, "strategy": "vmap", "dropout": 0.2, "stopping": None}
        return shoal.fit(Population.init(dense, 2), samples("dense", 37), **options, **more)

    whole, cut = train(), 6 if regime == "snapshot" else 2
    asked = iter(range(1, 100))
    record = Checkpoint(tmp_path, every_epochs=None, every_seconds=None, resume=True)
    first = train(checkpoint=record, should_stop=lambda: next(asked) == cut)
    assert first.interrupted
    assert first.status[0]["usable"]
    for _ in range(2):  # the second time what is finished is taken up
        again = train(checkpoint=record)
        assert again.status == whole.status
        assert same(again.population, whole.population)
        assert same(again.last, whole.last)


def test_patience_counts_from_the_last_better_loss(dense, samples):
    options = {**WHOLE, "learning_rate": 0.0, "epochs": 9, "patience": 2}
    fitted = shoal.fit(Population.init(dense, 1), samples("dense", 40), **options)
    (one,) = fitted.status
    assert (one["status"], one["best_epoch"], one["epochs"]) == ("early", 0, 4)


def test_a_crowd_that_shares_matrices_and_explodes_is_not_usable(dense, samples):
    crowd = Population.init(dense, 2, sharing=BatchEnsemble(rows="all"))
    fitted = shoal.fit(crowd, samples("dense", 40), epochs=2, learning_rate=1e30, **WHOLE)
    assert fitted.usable == []
    leaves = jax.tree.leaves(fitted.population.groups[0].common)
    assert all(np.isnan(np.asarray(leaf)).all() for leaf in leaves)
