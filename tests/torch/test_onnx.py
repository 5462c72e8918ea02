"""ONNX files run in onnxruntime as the crowd, member or neuron they were made of."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

import shoal
import shoal.torch
from shoal.bundle.crowd import Crowd
from shoal.bundle.manifest import BundleError
from shoal.data.scaling import fit_scaling
from shoal.data.sequences import Sequences
from shoal.equations.variance import VarianceScale
from shoal.neurons.model import build_model
from shoal.torch.onnx import _weights, export
from shoal.weighting import Pooled, Uniform
from shoal.wirings import AutoNCP

RNG = np.random.default_rng(0)


def run(file, x, timespans):
    session = onnxruntime.InferenceSession(file)
    given = {"x": x.astype(np.float32), "timespans": timespans.astype(np.float32)}
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, given), strict=True))


def series(rows, time):
    x = 20 + RNG.normal(size=(rows, time, 2))
    x[RNG.random(x.shape) < 0.3] = np.nan
    x[:, 0] = 20.0
    return x.astype(np.float32), RNG.uniform(0, 2, (rows, time)).astype(np.float32)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    x, timespans = series(20, 6)
    sequences = Sequences(x, timespans, y=RNG.normal(20, 1, (20, 2, 1)))
    scaling = fit_scaling(sequences, ["a", "b"], change_of=[0])
    config = {"kind": "cfc", "units": 4, "backbone_units": 5, "likelihood": "normal"}
    config |= {"input_size": scaling.encoded_size, "output_shape": [2, 1]}
    population = shoal.Population.init(lambda key: build_model(config, key), 2)
    parts = {"scaling": scaling, "recalibration": VarianceScale([[[2.0]], [[0.5]]])}
    made = shoal.Collective(population, {"kind": "fixed", "weights": [1, 3]}, **parts)
    return shoal.torch.load(shoal.save(made, tmp_path_factory.mktemp("b") / "crowd"))


@pytest.mark.parametrize("length", [None, 3])
def test_a_crowd_in_raw_units_at_sizes_it_was_not_traced_with(tmp_path, crowd, length):
    file = export(crowd, tmp_path / "c.onnx", length=length)
    x, timespans = series(7, length or 11)
    found, p = run(file, x, timespans), crowd.predict(x, timespans)
    np.testing.assert_allclose(found["mean"], p.mean, rtol=1e-5)
    np.testing.assert_allclose(found["std"], p.std, rtol=1e-4)
    np.testing.assert_allclose(found["members"], p.members, rtol=1e-5)


def test_a_neuron_and_a_member(tmp_path):
    torch.manual_seed(0)
    rnn = shoal.torch.LTC(2, AutoNCP(7, 2), mixed_memory=True, ode_unfolds=2)
    x, timespans = RNG.normal(size=(4, 9, 2)), RNG.uniform(0, 2, (4, 9))
    found = run(export(rnn, tmp_path / "n.onnx"), x, timespans)["output"]
    expected, _ = rnn(torch.tensor(x), timespans=torch.tensor(timespans))
    np.testing.assert_allclose(found, expected.detach(), atol=1e-5)
    head = shoal.torch.Head(2, (3,), "categorical")
    model = shoal.torch.SequenceModel(rnn, head)
    found = run(export(model, tmp_path / "m.onnx"), x, timespans)["probabilities"]
    logits = model(torch.tensor(x), torch.tensor(timespans)).logits
    np.testing.assert_allclose(found, logits.softmax(-1).detach(), atol=1e-5)


def test_what_has_no_onnx_is_named(tmp_path, crowd):
    with pytest.raises(TypeError, match=r"Linear is no crowd.*torch\.onnx\.export"):
        export(torch.nn.Linear(2, 2), tmp_path / "l.onnx")
    with pytest.raises(ValueError, match="`length` must be at least 1"):
        export(crowd, tmp_path / "l.onnx", length=0)

    class Depends:
        kind = "by_time"

        def weights(self, n_models, x=None, timespans=None):
            return np.ones((n_models, len(x))) / n_models

    with pytest.raises(BundleError, match="'by_time' depends on x"):
        export(replace(crowd, weighting=Depends()), tmp_path / "l.onnx")
    assert not (tmp_path / "l.onnx").exists()


def test_a_crowd_that_pools_otherwise_is_refused():

    crowd = Crowd([None, None], (0, 1), Uniform(), None, None, None, ({}, {}), print)
    assert _weights(crowd).tolist() == [0.5, 0.5]
    with pytest.raises(BundleError, match="pools its members by 'median'"):
        _weights(replace(crowd, weighting=Pooled([1, 1], "median")))
