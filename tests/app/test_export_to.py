"""`shoal export --to`: members and crowds for PyTorch, MLX and onnxruntime."""

import importlib.util
import json
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import shoal.mlx
import shoal.torch
from shoal.bundle.frameworks import from_mlx
from shoal.run.source import find_source

_spec = importlib.util.spec_from_file_location("app", Path(__file__).parent / "conftest.py")
_app = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_app)
shoal_says = _app.shoal


def said(*arguments, code=0):
    result = shoal_says("export", *arguments)
    assert result.exit_code == code, result.output
    return result.output


def bundle_of(name):
    return find_source(name).bundle


@pytest.mark.parametrize("framework", ["torch", "mlx"])
def test_members_for_another_framework(at_home, tmp_path, framework):
    package = {"torch": shoal.torch, "mlx": shoal.mlx}[framework]
    said("wave", "--to", framework, "--dir", tmp_path, "--all", "--name", "w")
    names = {f"w_{part}_{framework}.safetensors" for part in ("best", "ensemble_0", "ensemble_1")}
    assert {path.name for path in tmp_path.iterdir()} == names
    crowd = package.load(bundle_of("wave"))
    x = np.random.default_rng(0).normal(size=(3, 5, crowd.scaling.encoded_size)).astype(np.float32)
    for number, member in enumerate(crowd.members):
        file = tmp_path / f"w_ensemble_{number}_{framework}.safetensors"
        again = package.load_member(file)
        found, expected = crowd.ask(again, x, None, None), crowd.ask(member, x, None, None)
        np.testing.assert_array_equal(found.mean, expected.mean)
        np.testing.assert_array_equal(found.std, expected.std)
        with safe_open(file, "np") as opened:
            told = json.loads(opened.metadata()["shoal"])
        assert (told["number"], told["seed"]) == (number, crowd.seeds[number])
        read_by_its_own_functions(framework, file, again)
    best = json.loads((bundle_of("wave") / "manifest.json").read_text())["info"]["best_model_index"]
    same = (tmp_path / f"w_ensemble_{best}_{framework}.safetensors").read_bytes()
    assert (tmp_path / f"w_best_{framework}.safetensors").read_bytes() == same
    said("wave", "--to", framework, "--dir", tmp_path, "--name", "w")  # replaces the set
    assert [path.name for path in tmp_path.iterdir()] == [f"w_best_{framework}.safetensors"]


def read_by_its_own_functions(framework, file, module):
    if framework == "torch":
        blank = type(module).from_description(description_of(file))
        blank.load_state_dict(load_file(file))
        for name, value in module.state_dict().items():
            assert torch.equal(value, blank.state_dict()[name])
    else:
        blank = type(module).from_description(description_of(file))
        blank.load_weights(str(file))
        for name, value in module.layout().items():
            np.testing.assert_array_equal(from_mlx(value), from_mlx(mx.load(str(file))[name]))
            np.testing.assert_array_equal(from_mlx(value), from_mlx(blank.layout()[name]))


def description_of(file):
    with safe_open(file, "np") as opened:
        return json.loads(opened.metadata()["shoal"])["description"]


def test_a_crowd_for_onnxruntime(at_home, tmp_path):
    import onnxruntime

    out = said("steps", "--to", "onnx", "--dir", tmp_path)
    assert out.split() == [str(tmp_path / "steps.onnx")]
    assert [path.name for path in tmp_path.iterdir()] == ["steps.onnx"]
    session = onnxruntime.InferenceSession(tmp_path / "steps.onnx")
    x = np.random.default_rng(0).normal(size=(4, 6, 1)).astype(np.float32)
    timespans = np.ones((4, 6), np.float32)
    mean, *_ = session.run(None, {"x": x, "timespans": timespans})
    expected = shoal.torch.load(bundle_of("steps")).predict(x, timespans).mean
    np.testing.assert_allclose(mean, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "tourch"], "--to tourch: there is no such target; did you mean `torch`?"),
        (["--to", "mlx", "--pickle"], "--pickle: is for --to stablehlo, not for mlx"),
        (["--to", "onnx", "--all"], "--all: an ONNX file holds the whole crowd"),
        (["--length", "8"], "--length: is for --to onnx, not for stablehlo"),
        (["--to", "torch", "--name", "../x"], "`name` must be"),
        (["--to", "onnx", "--length", "0"], "`length` must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused(at_home, tmp_path, options, message):
    assert message in said("wave", *options, "--dir", tmp_path / "out", code=2)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("target", "package", "extra"),
    [("torch", "torch", "torch"), ("mlx", "mlx.nn", "mlx"), ("onnx", "onnxscript", "onnx")],
)
def test_a_framework_that_is_missing_is_named(at_home, monkeypatch, target, package, extra):
    if target != "onnx":
        for name in [n for n in sys.modules if n.startswith(f"shoal.{target}")]:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    out = said("wave", "--to", target, code=2)
    assert out.startswith(f"error: --to {target}: ")
    assert f"pip install 'shoal[{extra}]'" in out
