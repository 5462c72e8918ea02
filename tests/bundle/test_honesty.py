"""Recalibration, calibration and novelty are saved, come back, and are the same everywhere."""

import json
from dataclasses import replace

import numpy as np
import pytest

import shoal
from shoal.bundle.manifest import BundleError
from shoal.data.sequences import Sequences
from shoal.neurons.model import build_model

RNG = np.random.default_rng(0)
MODEL = {"kind": "gru", "input_size": 2, "units": 3}
X, T = RNG.normal(size=(30, 4, 2)), np.full((30, 4), 0.5)
ROWS = Sequences(X, T, y=RNG.normal(size=(30, 1)))
LABELS = Sequences(X, T, y=RNG.integers(0, 3, 30))


def crowd_of(**model):
    return shoal.Collective(shoal.Population.init(lambda key: build_model(MODEL | model, key), 2))


@pytest.fixture(scope="module")
def normal():
    crowd = crowd_of(output_shape=[1], likelihood="normal")
    return crowd.recalibrate(ROWS, by="member").with_novelty(ROWS)


@pytest.fixture(scope="module")
def classes():
    crowd = crowd_of(output_shape=[3], likelihood="categorical")
    return crowd.recalibrate(LABELS).with_novelty(LABELS)


def everywhere(path):
    """The bundle in every framework."""
    import shoal.mlx
    import shoal.torch

    return {"jax": shoal.load(path), "torch": shoal.torch.load(path), "mlx": shoal.mlx.load(path)}


@pytest.mark.parametrize("method", ["conformal", "cqr", "enbpi"])
def test_numbers_are_the_same_in_every_framework(tmp_path, normal, method):
    bags = np.tile([[0, 1], [1, 0]], 15)
    crowd = normal.calibrate_out_of_bag(ROWS, bags) if method == "enbpi" else None
    crowd = crowd or normal.calibrate(ROWS, method=method)
    wanted = crowd.predict(X, T)
    for name, again in everywhere(shoal.save(crowd, tmp_path / "b")).items():
        p = again.predict(X, T)
        assert again.calibration.method == method
        assert again.recalibration == crowd.recalibration
        assert again.novelty == crowd.novelty
        close = {"rtol": 1e-4, "atol": 1e-5} if name != "jax" else {"rtol": 0, "atol": 0}
        np.testing.assert_allclose(p.std, wanted.std, **close)
        np.testing.assert_allclose(p.interval(0.5), wanted.interval(0.5), **close)
        np.testing.assert_allclose(
            again.novelty.score(p), crowd.novelty.score(wanted), rtol=1e-3, atol=1e-3
        )
    raw = replace(crowd, recalibration=None).predict(X, T)
    assert not np.allclose(raw.std, wanted.std, rtol=1e-2)


def test_classes_are_the_same_in_every_framework(tmp_path, classes):
    wanted = classes.predict(X, T)
    for again in everywhere(shoal.save(classes, tmp_path / "b")).values():
        assert again.recalibration == classes.recalibration
        p = again.predict(X, T)
        np.testing.assert_allclose(p.probabilities, wanted.probabilities, rtol=1e-4, atol=1e-6)
    raw = replace(classes, recalibration=None).predict(X, T)
    assert not np.allclose(raw.probabilities, wanted.probabilities, rtol=1e-2)


def test_a_bundle_from_before_still_loads(tmp_path, normal):
    """Manifests that know nothing of recalibration, novelty and methods."""
    path = shoal.save(replace(normal, novelty=None, recalibration=None).calibrate(ROWS), tmp_path)
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["recalibration"], manifest["novelty"], manifest["calibration"]["method"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    again = shoal.load(path)
    assert again.recalibration is None
    assert again.novelty is None
    assert again.calibration.method == "conformal"


@pytest.mark.parametrize(
    ("part", "facts", "message"),
    [
        ("calibration", {"method": "magic", "score": "absolute"}, "no calibration method 'magic'"),
        ("calibration", {"method": "cqr", "levels": [0.5]}, "do not fit counts"),
        ("calibration", {}, "calibration of .* is malformed"),
        ("recalibration", {"kind": "isotonic"}, "must be one of temperature, variance"),
        ("novelty", {}, "novelty of .* is malformed"),
    ],
)
def test_what_is_malformed_is_named(tmp_path, normal, part, facts, message):
    path = shoal.save(normal.calibrate(ROWS), tmp_path)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest[part] = facts
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=message):
        shoal.load(path)
