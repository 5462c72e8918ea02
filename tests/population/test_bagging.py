"""Bagging: what was left out scores it; members that see some of the features see no others."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import shoal
from shoal.collective import Collective
from shoal.equations.outputs import Categorical, Normal
from shoal.neurons.mlp import MLP
from shoal.neurons.model import build_model
from shoal.population.out_of_bag import out_of_bag
from shoal.population.regimes import Bagging, resolve
from shoal.population.regimes.bagging import bag, subset
from shoal.population.samples import as_samples

RNG = np.random.default_rng(0)
N, ROWS = 4, 30
OPTIONS = {"epochs": 2, "batch_size": 16, "learning_rate": 1e-2, "stopping": None}


def answers_of(outputs):
    """What `fit` asks members by: number -> that one's answers to the training samples."""

    def answers(member, of_valid):
        if isinstance(outputs, tuple):
            return type(outputs)(*(jnp.asarray(part[member]) for part in outputs))
        return jnp.asarray(outputs[member])

    return answers


def test_out_of_bag_by_hand():
    x, y = np.zeros((3, 1)), np.array([[1.0], [2.0], [5.0]])
    outputs = np.array([[[0.0], [0.0], [0.0]], [[4.0], [4.0], [4.0]]])
    bags = np.array([[0, 0, 3], [1, 0, 2]])
    found = out_of_bag(None, answers_of(outputs), as_samples((x, y), "train"), bags, [0, 1])
    np.testing.assert_allclose(found.members, [(1 + 4) / 2, 4.0])
    assert found.rows == 2
    np.testing.assert_allclose(found.crowd, (1 + (2 - 2) ** 2) / 2)  # 0 alone; both, mean 2


@pytest.mark.parametrize("kind", ["points", "normal", "classes"])
def test_out_of_bag_is_the_loss_of_those_that_did_not_see_a_row(kind):
    bags = np.stack([bag(seed, ROWS) for seed in range(N)])
    y = RNG.integers(0, 3, ROWS) if kind == "classes" else RNG.normal(size=(ROWS, 1))
    numbers = RNG.normal(size=(N, ROWS, 3 if kind == "classes" else 1))
    outputs = {"points": numbers, "normal": Normal(numbers, 1 + numbers**2)}
    outputs = outputs.get(kind, Categorical(numbers))
    found = out_of_bag(
        None, answers_of(outputs), as_samples((np.zeros((ROWS, 1)), y), "train"), bags, range(N)
    )
    losses = []
    for row in range(ROWS):
        members = np.flatnonzero(bags[:, row] == 0)
        if not len(members):
            continue
        own = numbers[members, row]
        if kind == "points":
            losses.append((own.mean() - y[row, 0]) ** 2)
        elif kind == "normal":
            std, error = 1 + own**2, y[row] - own
            densities = np.exp(-0.5 * (error / std) ** 2) / (std * np.sqrt(2 * np.pi))
            losses.append(-np.log(densities.mean()))
        else:
            p = np.exp(own) / np.exp(own).sum(-1, keepdims=True)
            losses.append(-np.log(p.mean(0)[y[row]]))
    assert found.rows == len(losses)
    np.testing.assert_allclose(found.crowd, np.mean(losses), rtol=1e-5)


def test_fit_tells_the_score(dense, samples):
    x, y = samples("dense", 40)
    fitted = shoal.fit(shoal.Population.init(dense, 3), (x, y), regime="bagging", **OPTIONS)
    said = np.asarray(fitted.population(x))
    for one, told in zip(fitted.status, fitted.out_of_bag.members, strict=True):
        unseen = bag(one["seed"], 40) == 0
        np.testing.assert_allclose(told, ((said[one["index"]] - y) ** 2)[unseen].mean(), rtol=1e-5)
        assert one["out_of_bag_loss"] == told
    assert 0 < fitted.out_of_bag.crowd < fitted.out_of_bag.members.max()
    plain = shoal.fit(shoal.Population.init(dense, 3), (x, y), **OPTIONS)
    assert plain.out_of_bag is None
    assert "out_of_bag_loss" not in plain.status[0]


def sequences(n=20):
    x = RNG.normal(size=(n, 5, 4)).astype(np.float32)
    return x, np.ones((n, 5), np.float32), x.sum((1, 2))[:, None]


def kinds():
    common = {"input_size": 4, "units": 3, "output_shape": [1]}
    yield "gru", lambda key: build_model({"kind": "gru", **common}, key)
    yield "mlp", lambda key: MLP(20, 3, (1,), activation="tanh", key=key)

    class Last(eqx.Module):  # of the user's own: it is wrapped
        net: eqx.nn.Linear

        def __call__(self, x, timespans=None, *, mask=None, key=None):
            return x[:, -1] @ self.net.weight.T

    yield "own", lambda key: Last(eqx.nn.Linear(4, 1, key=key))


@pytest.mark.parametrize(("kind", "make"), list(kinds()))
def test_members_see_their_features_alone(tmp_path, kind, make):
    x, timespans, y = sequences()
    population = shoal.Population.init(make, 3)
    fitted = shoal.fit(
        population, (x, timespans, y), regime=Bagging(features=0.5), **OPTIONS | {"epochs": 1}
    )
    masks = np.stack([subset(seed, 4, 0.5) for seed in population.seeds])
    assert (masks.sum(1) == 2).all()
    crowd = Collective(fitted.population)
    said = crowd.predict(x, timespans).members
    changed = crowd.predict(x + RNG.normal(size=x.shape), timespans).members
    for i, mask in enumerate(masks):
        hidden = crowd.predict(np.where(mask > 0, x, 99.0), timespans).members[i]
        np.testing.assert_array_equal(hidden, said[i])
        assert (changed[i] != said[i]).all()
    shoal.save(crowd, tmp_path / "bundle")
    again = shoal.load(tmp_path / "bundle", make=None if kind != "own" else shown(make))
    np.testing.assert_array_equal(again.predict(x, timespans).members, said)


def shown(make):
    """What a user says to load members of their own that were shown some of the features."""
    from shoal.neurons.frozen import FeatureMask
    from shoal.population.subset import Subset

    return lambda key: Subset(make(key), FeatureMask(jnp.ones(4)))


def test_a_subset_depends_on_the_seed_alone():
    counts = np.sum([subset(seed, 10, 0.7) for seed in range(400)], axis=0)
    assert (abs(counts - 280) < 50).all()
    assert subset(3, 7, 1.0).all()
    np.testing.assert_array_equal(subset(5, 10, 0.3), subset(5, 10, 0.3))


def test_impossible_shares_are_refused():
    with pytest.raises(ValueError, match=r"`features` of bagging must lie in \(0, 1\], got 0"):
        resolve({"kind": "bagging", "features": 0})
    config = {"kind": "gru", "input_size": 4, "units": 3, "output_shape": [1]}
    with pytest.raises(ValueError, match="one number for each of 4 features"):
        build_model({**config, "feature_mask": [1, 0]}, 0)
