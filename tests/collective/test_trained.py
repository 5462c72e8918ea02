"""A crowd of what training left: who may not speak is left out, and named."""

import warnings
from types import SimpleNamespace

import equinox as eqx
import jax
import mlx.nn
import mlx.optimizers
import numpy as np
import pytest
import torch

import shoal
import shoal.mlx
import shoal.torch
from shoal.weighting import Evidence, Fixed, InverseLoss

X = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
Y = X.sum(axis=1, keepdims=True)
NAMED = r"left out of the crowd: member 1 \(seed 43\), loss or parameters not finite in epoch 1$"
ASKED = {"epochs": 2, "batch_size": 24, "learning_rate": [1e-2, 1e30, 1e-2], "stopping": None}


class Linear(eqx.Module):
    inner: eqx.nn.Linear

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return jax.vmap(self.inner)(x)


def in_jax(**more):
    make = lambda key: Linear(eqx.nn.Linear(3, 1, key=key))  # noqa: E731
    options = ASKED | {"optimizer": "sgd"} | more
    return shoal.fit(shoal.Population.init(make, 3), (X, Y), (X, Y), **options)


def in_torch(**more):
    crowd = shoal.torch.Collective.init(lambda: torch.nn.Linear(3, 1), n_models=3)
    return shoal.torch.fit(crowd, (X, Y), (X, Y), **ASKED | {"optimizer": torch.optim.SGD} | more)


def in_mlx(**more):
    crowd = shoal.mlx.Collective.init(lambda: mlx.nn.Linear(3, 1), n_models=3)
    options = ASKED | {"optimizer": mlx.optimizers.SGD} | more
    return shoal.mlx.fit(crowd, (X, Y), (X, Y), **options)


FRAMEWORKS = {
    "jax": (in_jax, shoal.Collective),
    "torch": (in_torch, shoal.torch.Collective),
    "mlx": (in_mlx, shoal.mlx.Collective),
}


@pytest.fixture(scope="module", params=list(FRAMEWORKS))
def framework(request):
    fit, Collective = FRAMEWORKS[request.param]
    return SimpleNamespace(fit=fit, Collective=Collective, fitted=fit())


def crowd_of(framework, *arguments):
    with pytest.warns(UserWarning, match=NAMED) as told:
        crowd = framework.Collective(framework.fitted, *arguments)
    assert told[0].filename == __file__
    return crowd


def test_who_diverged_is_left_out_and_named(framework):
    assert framework.fitted.usable == [0, 2]
    crowd = crowd_of(framework)
    assert crowd.seeds == (42, 44)
    said = crowd.predict(X)
    assert said.weights.tolist() == [0.5, 0.5]
    assert np.isfinite(said.mean).all()


def test_who_diverged_never_speaks_unnamed(framework):
    crowd = framework.Collective(framework.fitted.population)
    with pytest.raises(ValueError, match=r"members 1 \(seed \d+\) predict values that are not fin"):
        crowd.predict(X)


def test_weights_are_of_all_members_or_of_those_that_stay(framework):
    for weights in ([1, 5, 3], [1, 3], Fixed([1, 5, 3])):
        assert crowd_of(framework, weights).predict(X).weights.tolist() == [0.25, 0.75]
    rule = InverseLoss().fit(Evidence(np.array([3.0, 1.0])))
    assert crowd_of(framework, rule).predict(X).weights.tolist() == [0.25, 0.75]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="has 4 weights, but there are 2 members"):
            framework.Collective(framework.fitted, [1, 1, 1, 1])


def test_of_members_that_are_all_well_nothing_is_said(framework):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        crowd = framework.Collective(framework.fit(learning_rate=1e-2), [1, 1, 2])
    assert crowd.n_models == 3
    assert crowd.predict(X).weights.tolist() == [0.25, 0.25, 0.5]


def test_a_training_that_came_to_nothing_is_no_crowd(framework):
    with pytest.raises(ValueError, match=r"no member has a finite loss \(.*lower `learning_rate`"):
        framework.Collective(framework.fit(learning_rate=1e30))


def test_boosted_members_are_combined_as_boosting_needs():
    fitted = in_jax(regime="gradient_boosting", learning_rate=1e-2)
    said = shoal.Collective(fitted).predict(X).mean
    np.testing.assert_array_equal(
        said, shoal.Collective(fitted.population, fitted.weighting).predict(X).mean
    )
    assert (said != shoal.Collective(fitted, "uniform").predict(X).mean).any()
