"""What every regime must do, and what each promises."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import shoal
from shoal.equations.coupling import mean_correlation
from shoal.population import Checkpoint
from shoal.population.regimes import REGIMES, NegativeCorrelation, resolve
from shoal.population.regimes.bagging import bag

N = 3
STAGED = {"snapshot", "gradient_boosting", "adaboost"}
OPTIONS = {"epochs": 6, "batch_size": 16, "learning_rate": 3e-2, "strategy": "vmap"}


@pytest.fixture(scope="session")
def people(dense):
    return shoal.Population.init(dense, N)


@pytest.fixture(scope="session")
def trained(people, samples):
    """`trained(regime, ...)`: the population after a short training."""

    def train(regime, *, people=people, valid=True, rows=40, **options):
        data = samples("dense", rows), samples("dense", 20, 1) if valid else None
        return shoal.fit(people, *data, regime=regime, stopping=None, **(OPTIONS | options))

    return train


@pytest.fixture(scope="module")
def crowds(trained):
    return {kind: trained(kind, rows=120) for kind in REGIMES}


@pytest.mark.parametrize("kind", sorted(REGIMES))
def test_every_member_learns(crowds, kind):
    fitted = crowds[kind]
    assert fitted.usable == list(range(N))
    losses, worked = fitted.history.matrix("train_loss"), fitted.history.matrix("worked")
    for member in range(N):
        own = losses[worked[:, member].astype(bool), member]
        assert own.min() < own[0]


@pytest.mark.parametrize("kind", sorted({*REGIMES} - {"gradient_boosting"}))
def test_status_tells_each_member_s_own_validation_loss(crowds, samples, kind):
    fitted = crowds[kind]
    x, y = samples("dense", 20, 1)
    own = ((np.asarray(fitted.population(x)) - y) ** 2).mean((1, 2))
    told = [one["best_loss"] for one in fitted.status]
    np.testing.assert_allclose(told, own, rtol=1e-5)


@pytest.mark.parametrize("kind", sorted(REGIMES))
def test_taken_up_again_it_ends_the_same(tmp_path, trained, crowds, same, kind):
    asked = iter([False] * 8 + [True] if kind in STAGED else [False, True])
    whole = crowds[kind]
    record = Checkpoint(tmp_path, every_epochs=1, resume=True)
    first = trained(kind, rows=120, should_stop=lambda: next(asked), checkpoint=record)
    assert first.interrupted
    assert first.history.epochs < whole.history.epochs
    again = trained(kind, rows=120, checkpoint=record)
    assert again.weighting == whole.weighting
    same(again.population, whole.population)
    same(again.last, whole.last)
    assert again.status == whole.status


def test_joint_training_goes_down_the_gradient_of_the_crowd_s_loss(trained, people, samples, same):
    x, y = samples("dense", 40)
    options = {"epochs": 1, "batch_size": 40, "learning_rate": 0.1, "optimizer": "sgd"}
    fitted = trained("joint", valid=False, **options)
    members = people.groups[0].members
    params, rest = eqx.partition(members, eqx.is_inexact_array)

    def loss(params):
        answers = eqx.filter_vmap(lambda own: own(x))(eqx.combine(params, rest))
        return N * jnp.mean((answers.mean(0) - y) ** 2)

    expected = jax.tree.map(
        lambda p, g: p - 0.1 * g, params.mlp, jax.jit(jax.grad(loss))(params).mlp
    )
    same(fitted.last.groups[0].members.mlp, eqx.combine(expected, rest.mlp), 1e-6)


@pytest.mark.parametrize(("weight", "other"), [(0.0, "independent"), (1.0, "joint")])
def test_the_ends_of_negative_correlation(trained, same, weight, other):
    options = {"optimizer": "sgd", "learning_rate": 0.1}
    found = trained(NegativeCorrelation(weight), **options)
    same(found.last, trained(other, **options).last, 1e-5)


def test_rewards_for_diversity_make_members_differ_more(trained, samples):
    def spread(fitted):
        return np.asarray(fitted.last(samples("dense", 40)[0])).var(0).mean()

    options = {"epochs": 25, "learning_rate": 2e-2}
    plain = trained("independent", **options)
    for kind, weight in (("negative_correlation", 0.9), ("correlation", 1.0)):
        crowd = trained({"kind": kind, "weight": weight}, **options)
        assert spread(crowd) > 1.2 * spread(plain)
        assert np.isfinite(crowd.history.columns()["diversity"]).all()


def test_correlation_is_numpy_s():
    errors = np.random.default_rng(0).normal(size=(4, 30))
    pairs = np.corrcoef(errors)[np.triu_indices(4, 1)]
    found = mean_correlation(np, errors, np.full(4, 0.25), np.ones(30))
    np.testing.assert_allclose(found, pairs.mean(), rtol=1e-9)


def test_a_member_that_diverges_does_not_touch_the_crowd(trained):
    rates = [1e-2, 1e30, 1e-2]
    fitted = trained("joint", learning_rate=rates, optimizer="sgd")
    assert fitted.status[1]["status"] == "diverged"
    assert {0, 2} <= set(fitted.usable)
    assert np.isfinite(fitted.history.matrix("valid_loss")[-1, [0, 2]]).all()


def test_a_bag_is_training_on_what_was_drawn(trained, people, samples, same):
    x, y = samples("dense", 40)
    options = {"epochs": 3, "batch_size": 40, "optimizer": "sgd", "learning_rate": 0.1}
    fitted = trained("bagging", valid=False, **options)
    for i, seed in enumerate(people.seeds):
        drawn = np.repeat(np.arange(40), bag(seed, 40).astype(int))
        alone = shoal.fit(people[i : i + 1], (x[drawn], y[drawn]), stopping=None, **options)
        same(fitted.last.member(i).mlp, alone.last.member(0).mlp, 1e-5)


def test_snapshots_go_on_where_the_one_before_rests(trained, same):
    fitted = trained("snapshot", learning_rate=[1e-2, 0.0, 1e-2])
    last = [fitted.last.member(i).mlp for i in range(N)]
    same(last[0], last[1])
    with pytest.raises(AssertionError):
        same(last[1], last[2])
    assert fitted.history.epochs == N * OPTIONS["epochs"]


def test_what_cannot_be_coupled_is_refused(trained, dense):
    unlike = shoal.Population.init([dense, lambda key: dense(key, width=5)], 2)
    with pytest.raises(ValueError, match="2 structures; train unlike members independently"):
        trained("joint", people=unlike)
    with pytest.raises(ValueError, match="needs a `loss` by name"):
        trained("joint", loss=lambda prediction, y, mask: (prediction - y) ** 2)
    with pytest.raises(ValueError, match="not 'mae'"):
        trained("negative_correlation", loss="mae")


def test_wrong_regimes_are_refused():
    with pytest.raises(ValueError, match="did you mean 'bagging'"):
        resolve("baging")
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got 2"):
        resolve({"kind": "negative_correlation", "weight": 2})
    with pytest.raises(ValueError, match="unexpected keyword argument 'wait'"):
        resolve({"kind": "correlation", "wait": 1})
