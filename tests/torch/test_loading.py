"""A bundle in PyTorch: modules to train on, precision, device, refusals."""

import numpy as np
import pytest
import torch

import shoal
import shoal.torch
from shoal.bundle import load_parameters, parameters, save_parameters
from shoal.bundle.manifest import BundleError
from shoal.neurons.model import build_model

MODEL = {"kind": "cfc", "input_size": 2, "units": 4, "backbone_units": 5, "output_shape": [1]}
MODEL |= {"backbone_dropout": 0.5, "dropout": 0.5}
X, T = np.random.default_rng(0).normal(size=(6, 5, 2)), np.full((6, 5), 0.5)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    crowd = shoal.Collective(shoal.Population.init(lambda key: build_model(MODEL, key), 2))
    return shoal.save(crowd, tmp_path_factory.mktemp("b") / "crowd")


def test_members_are_modules_that_train_on(bundle):
    crowd = shoal.torch.load(bundle)
    member = crowd.members[0]
    assert isinstance(member, shoal.torch.SequenceModel)
    assert not member.training
    before = crowd.predict(X, T)
    optimizer = torch.optim.Adam(member.parameters(), 0.01)
    member.train()
    for _ in range(3):
        optimizer.zero_grad()
        (member(torch.tensor(X), torch.tensor(T)) ** 2).mean().backward()
        optimizer.step()
    after, again = crowd.predict(X, T), crowd.predict(X, T)
    np.testing.assert_array_equal(after.members, again.members)  # no dropout, though in training
    assert member.training
    assert not np.allclose(after.members[0], before.members[0])
    np.testing.assert_array_equal(after.members[1], before.members[1])


def test_a_trained_member_goes_back_to_jax(bundle, tmp_path):
    crowd = shoal.torch.load(bundle)
    with torch.no_grad():
        for parameter in crowd.members[1].parameters():
            parameter.mul_(1.5)
    file = save_parameters(crowd.members[1], tmp_path / "w.safetensors")
    changed = load_parameters(file, into=shoal.load(bundle).population.member(0))
    found = np.asarray(changed(X.astype(np.float32), T.astype(np.float32)))
    np.testing.assert_allclose(found, crowd.predict(X, T).members[1], rtol=1e-5, atol=1e-6)


def test_precision_and_device(bundle):
    single, double = shoal.torch.load(bundle), shoal.torch.load(bundle, "cpu", torch.float64)
    assert {p.dtype for p in double.members[0].parameters()} == {torch.float64}
    a, b = single.predict(X, T), double.predict(X, T)
    np.testing.assert_allclose(a.mean, b.mean, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(a.mean, b.mean)
    assert parameters(single.members[0])["head.params.bias"].dtype == np.float32


def test_batches_of_many_rows(bundle, monkeypatch):
    crowd = shoal.torch.load(bundle)
    whole = crowd.predict(X, T).members
    monkeypatch.setattr("shoal.bundle.crowd.OBSERVATIONS", 10)  # two rows at a time
    np.testing.assert_allclose(crowd.predict(X, T).members, whole, rtol=1e-5, atol=1e-5)


def test_damage_is_named(bundle, tmp_path):
    with pytest.raises(BundleError, match="is no bundle"):
        shoal.torch.load(tmp_path)
    (tmp_path / "w.safetensors").write_bytes(b"")
    with pytest.raises(BundleError, match="is no safetensors file"):
        shoal.torch.load_member(tmp_path / "w.safetensors")
    save_parameters(shoal.torch.GRU(2, 3), tmp_path / "w.safetensors")
    with pytest.raises(BundleError, match="does not say what member it holds"):
        shoal.torch.load_member(tmp_path / "w.safetensors")
    with pytest.raises(BundleError, match="there is no file"):
        shoal.torch.load_member(tmp_path / "nothing")
