"""Parameters by path, to files and back: every type to the bit, every misfit by name."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import shoal
from shoal.bundle import load_parameters, parameters, save_parameters, tensors
from shoal.bundle.manifest import BundleError
from shoal.neurons.model import build_model
from shoal.wirings import AutoNCP

MODEL = {"kind": "cfc", "input_size": 3, "units": 5, "backbone_units": 4, "output_shape": [2]}
MODEL |= {"dropout": 0.1, "time_scaling": {"kind": "log", "mean": 2.0}}


def same_bits(a, b):
    assert a.keys() == b.keys()
    for name, array in a.items():
        assert array.dtype == b[name].dtype
        assert array.tobytes() == b[name].tobytes()
        assert array.shape == b[name].shape


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64, jnp.float16, jnp.bfloat16])
def test_a_jax_neuron_to_a_file_and_back(tmp_path, dtype):
    with jax.enable_x64(dtype == jnp.float64):
        rnn = shoal.CfC(3, AutoNCP(8, 2), dtype=dtype, key=0)
        file = save_parameters(rnn, tmp_path / "w.safetensors")
        fresh = shoal.CfC(3, AutoNCP(8, 2), dtype=dtype, key=1)
        again = load_parameters(file, into=fresh)
        same_bits(parameters(again), parameters(rnn))
        assert parameters(rnn)["stack.layers.0.forward.params.layer_0_ff1_bias"].dtype == dtype
        assert jax.tree.structure(again) == jax.tree.structure(rnn)
    assert load_file(file).keys() == parameters(rnn).keys()


def test_dropout_stays_the_modules_own_and_time_scaling_comes_along(tmp_path):
    model = build_model(MODEL, 0)
    other = build_model({**MODEL, "dropout": 0.4, "time_scaling": {"kind": "raw"}}, 1)
    again = load_parameters(save_parameters(model, tmp_path / "w"), into=other)
    assert float(again.rnn.stack.layers[0].dropout.rate.value) == np.float32(0.4)
    assert again.time_scaling.describe() == {"kind": "log", "mean": 2.0, "std": 1.0}
    x, t = jnp.ones((2, 4, 3)), jnp.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(again(x, t), model(x, t))


def test_a_bundles_member_and_an_exports_parameters(tmp_path):
    crowd = shoal.Collective(shoal.Population.init(lambda key: build_model(MODEL, key), 3))
    shoal.save(crowd, tmp_path / "b")
    second = load_parameters(tmp_path / "b", into=build_model(MODEL, 9), member=1)
    same_bits(parameters(second), parameters(crowd.population.member(1)))
    with pytest.raises(BundleError, match=r"bundle of 3 members.*0 to 2, got None"):
        load_parameters(tmp_path / "b", into=second)
    with pytest.raises(BundleError, match="got 3"):
        load_parameters(tmp_path / "b", into=second, member=3)
    facts = shoal.bundle.ensemble_metadata(
        seeds=crowd.seeds, validation_losses=[2, 3, 1], training_config={}
    )
    from shoal.bundle.export import export

    export(crowd, tmp_path, "n", metadata=facts, stablehlo=False)
    best = load_parameters(tmp_path / "n_best_params.safetensors", into=second)
    same_bits(parameters(best), parameters(crowd.population.member(2)))
    with pytest.raises(BundleError, match="is no folder"):
        load_parameters(tmp_path / "n_best_params.safetensors", into=second, member=0)


def test_misfits_are_named_with_both_shapes(tmp_path):
    rnn = shoal.GRU(3, 4, key=0)
    file = save_parameters(rnn, tmp_path / "w.safetensors")
    name = next(iter(parameters(rnn)))
    with pytest.raises(BundleError, match=r"float32\(.*\) in .*w\.safe.*needs float32\("):
        load_parameters(file, into=shoal.GRU(3, 5, key=0))
    with pytest.raises(BundleError, match=r"lacks stack\.layers\.1\.forward"):
        load_parameters(file, into=shoal.GRU(3, 4, num_layers=2, key=0))
    with pytest.raises(BundleError, match=r"needs bfloat16\(.*make the module in the file's type"):
        load_parameters(file, into=shoal.GRU(3, 4, dtype=jnp.bfloat16, key=0))
    arrays = parameters(rnn)
    save_file({**arrays, "more": np.ones(2)}, file)
    with pytest.raises(BundleError, match="has more, for which the module has no place"):
        load_parameters(file, into=rnn)
    save_file({key: value for key, value in arrays.items() if key != name}, file)
    with pytest.raises(BundleError, match=f"lacks {name}, float32"):
        load_parameters(file, into=rnn)
    file.write_bytes(b"12345678 no header")
    with pytest.raises(BundleError, match="is no safetensors file"):
        load_parameters(file, into=rnn)
    with pytest.raises(BundleError, match="there is no file"):
        load_parameters(tmp_path / "nothing", into=rnn)
    with pytest.raises(TypeError, match="no arrays"):
        parameters(lambda x: x)


def test_bfloat16_keeps_its_bits_where_numpy_does_not_know_it(tmp_path, monkeypatch):
    halves = np.arange(-4, 4, 0.37).astype(ml_dtypes.bfloat16)
    known = tensors.to_bytes({"w": halves, "v": np.ones((2, 3))}, {"a": "b"})
    assert load_into(tmp_path, known)["w"].dtype == ml_dtypes.bfloat16
    monkeypatch.setattr(tensors, "bfloat16", lambda: tensors.BITS)
    arrays, metadata = tensors.from_bytes(known)
    assert arrays["w"].dtype == tensors.BITS
    assert arrays["w"].tobytes() == halves.tobytes()
    assert metadata == {"a": "b"}
    again = load_into(tmp_path, tensors.to_bytes(arrays))  # safetensors reads what was written
    np.testing.assert_array_equal(again["w"], halves)
    np.testing.assert_array_equal(again["v"], np.ones((2, 3)))


def load_into(folder, data):
    (folder / "f").write_bytes(data)
    return load_file(folder / "f")
