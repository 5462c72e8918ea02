"""MLPs outside JAX: the same answers from a bundle, with neurons beside them, and back again."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import shoal
import shoal.torch
from shoal.bundle import load_parameters, parameters, save_parameters
from shoal.bundle.frameworks import from_mlx, from_torch
from shoal.bundle.manifest import BundleError
from shoal.equations.outputs import Categorical, Normal
from shoal.neurons.mlp import MLP, describe
from shoal.neurons.model import build_model
from shoal.torch.loading import export_members
from shoal.unrolled.member_mlp import answer, plan_of

shoal_mlx = pytest.importorskip("shoal.mlx")

X = np.random.default_rng(0).normal(size=(7, 4, 3)).astype(np.float32)
T = np.ones((7, 4), np.float32)
CASES = {
    "point": {"num_layers": 2, "activation": "lecun_tanh", "dropout": 0.3},
    "normal": {"num_layers": 1, "feature_mask": [1.0, 0.0, 1.0]},
    "categorical": {"num_layers": 3, "activation": "gelu"},
}


def member(likelihood, seed=0):
    return MLP(12, 5, (2,), likelihood=likelihood, key=seed, **CASES[likelihood])


def arrays(said):
    return list(said) if isinstance(said, Normal | Categorical) else [said]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A neuron, and two MLPs that answer as it does."""
    neuron = {
        "kind": "gru",
        "input_size": 3,
        "units": 2,
        "output_shape": [2],
        "likelihood": "normal",
    }
    crowd = shoal.Collective.of([build_model(neuron, 0), member("normal", 1), member("normal", 2)])
    return shoal.save(crowd, tmp_path_factory.mktemp("b") / "crowd")


@pytest.mark.parametrize("likelihood", CASES)
def test_every_framework_answers_as_jax_does(likelihood):
    made = member(likelihood)
    expected = arrays(made(jnp.asarray(X)))
    weights, description = parameters(made), describe(made)
    seen = weights.get("feature_mask.value")
    plain = answer(np, plan_of(description), weights, X.astype(np.float64), seen)
    for module, given in (
        (shoal.torch.MLP.from_description(description), torch.tensor(X)),
        (shoal_mlx.MLP.from_description(description), shoal_mlx.mlp.mx.array(X)),
    ):
        module.load_layout(weights)
        module.eval()
        assert set(parameters(module)) == set(weights)
        for found, exact, other in zip(arrays(module(given)), arrays(plain), expected, strict=True):
            found = found.detach().numpy() if isinstance(found, torch.Tensor) else np.array(found)
            np.testing.assert_allclose(found, other, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(exact, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("load", [shoal.torch.load, shoal_mlx.load])
def test_a_crowd_of_neurons_and_mlps_is_read(bundle, load):
    expected = shoal.load(bundle).predict(X, T)
    found = load(bundle).predict(X, T)
    np.testing.assert_allclose(found.members, expected.members, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.std, expected.std, rtol=1e-5, atol=1e-6)


def test_a_trained_member_goes_back_to_jax(bundle, tmp_path):
    crowd = shoal.torch.load(bundle)
    changed = crowd.members[1]
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.mul_(1.5)
    file = save_parameters(changed, tmp_path / "w.safetensors")
    again = load_parameters(file, into=shoal.load(bundle).population.member(2))
    np.testing.assert_allclose(
        again(X).mean, changed(torch.tensor(X)).mean.detach(), rtol=1e-5, atol=1e-6
    )
    in_mlx = load_parameters(file, into=shoal_mlx.load(bundle).members[2])
    np.testing.assert_allclose(np.array(in_mlx(X).mean), again(X).mean, rtol=1e-5, atol=1e-6)


def test_members_as_files_of_their_own(bundle, tmp_path):
    export_members(bundle, tmp_path, "a", best=1)
    shoal_mlx.loading.export_members(bundle, tmp_path, "a", best=1)
    one = shoal.torch.load_member(tmp_path / "a_best_torch.safetensors")
    two = shoal_mlx.load_member(tmp_path / "a_best_mlx.safetensors")
    assert (type(one).__name__, type(two).__name__) == ("MLP", "MLP")
    said = from_torch(one(torch.tensor(X)).std), from_mlx(two(X).std)
    np.testing.assert_allclose(*said, rtol=1e-5, atol=1e-6)


def test_dropout_is_for_training_alone():
    torch.manual_seed(0)
    made = shoal.torch.MLP(12, 50, (1,), dropout=0.5)
    x = torch.tensor(X)
    assert not torch.equal(made(x), made(x))
    made.eval()
    assert torch.equal(made(x), made(x))


def test_what_does_not_fit_is_refused():
    made = shoal.torch.MLP(12, 5, (2,))
    with pytest.raises(ValueError, match="12 numbers in a row"):
        made(torch.ones(2, 3, 3))
    with pytest.raises(ValueError, match="is missing"):
        made.load_layout({})
    for wrong in ({"units": 0}, {"activation": "sine"}, {"depth": 2}):
        with pytest.raises(ValueError, match=r"`units`|sine|depth"):
            plan_of({"input_size": 3, "units": 2, "output_shape": [1], **wrong})


def test_onnx_is_for_neurons(bundle, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    from shoal.torch.onnx import export

    with pytest.raises(BundleError, match="member 1 is an MLP, and ONNX exports hold neurons"):
        export(shoal.torch.load(bundle), tmp_path / "crowd.onnx")


def test_checkpoints_of_another_structure_say_what_was_expected(tmp_path):
    with pytest.raises(RuntimeError, match="reads 3 features into 6 neurons, and the weights are"):
        shoal.torch.GRU(3, 6).load_state_dict(shoal.torch.GRU(3, 8).state_dict())
    shoal_mlx.GRU(3, 8).save_weights(str(tmp_path / "w.safetensors"))
    with pytest.raises(ValueError, match="of another structure than this GRU; make it with"):
        shoal_mlx.GRU(3, 6).load_weights(str(tmp_path / "w.safetensors"))
