"""A bundle in MLX: modules to train on, saved by MLX itself, refusals."""

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import pytest

import shoal
import shoal.mlx
from shoal.bundle import load_parameters
from shoal.bundle.manifest import BundleError
from shoal.neurons.model import build_model

MODEL = {"kind": "gru", "input_size": 2, "units": 4, "output_shape": [1], "dropout": 0.5}
X, T = np.random.default_rng(0).normal(size=(6, 5, 2)), np.full((6, 5), 0.5)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    crowd = shoal.Collective(shoal.Population.init(lambda key: build_model(MODEL, key), 2))
    return shoal.save(crowd, tmp_path_factory.mktemp("b") / "crowd")


def test_members_train_on_and_go_back_to_jax(bundle, tmp_path):
    crowd = shoal.mlx.load(bundle)
    member = crowd.members[0]
    assert isinstance(member, shoal.mlx.SequenceModel)
    assert not member.training
    before = crowd.predict(X, T)
    member.train()
    optimizer = optim.Adam(0.01)
    x, spans = mx.array(X.astype(np.float32)), mx.array(T.astype(np.float32))
    step = nn.value_and_grad(member, lambda: (member(x, spans) ** 2).mean())
    for _ in range(3):
        _, grads = step()
        optimizer.update(member, grads)
    after, again = crowd.predict(X, T), crowd.predict(X, T)
    np.testing.assert_array_equal(after.members, again.members)  # no dropout, though in training
    assert member.training
    assert not np.allclose(after.members[0], before.members[0])
    member.save_weights(str(tmp_path / "w.safetensors"))  # MLX's own
    model = load_parameters(
        tmp_path / "w.safetensors", into=shoal.load(bundle).population.member(1)
    )
    found = np.asarray(model(X.astype(np.float32), T.astype(np.float32)))
    np.testing.assert_allclose(found, after.members[0], rtol=1e-5, atol=1e-6)


def test_damage_is_named(tmp_path):
    with pytest.raises(BundleError, match="is no bundle"):
        shoal.mlx.load(tmp_path)
    shoal.bundle.save_parameters(shoal.mlx.GRU(2, 3), tmp_path / "w.safetensors")
    with pytest.raises(BundleError, match="does not say what member it holds"):
        shoal.mlx.load_member(tmp_path / "w.safetensors")
    with pytest.raises(BundleError, match="there is no file"):
        shoal.mlx.load_member(tmp_path / "nothing")
