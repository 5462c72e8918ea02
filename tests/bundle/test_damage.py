"""Damaged, foreign and malicious bundles are refused by name; a killed save loses nothing."""

import json
import subprocess
import sys

import numpy as np
import pytest

import shoal
from shoal.bundle import files, read_manifest, saving
from shoal.bundle.manifest import BundleError

pytestmark = pytest.mark.usefixtures("registered")


@pytest.fixture
def bundle(tmp_path, crowd_of, data):
    return shoal.save(crowd_of().calibrate(data), tmp_path / "b")


def edit(bundle, **changes):
    file = bundle / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def entry(bundle, **changes):
    old = read_manifest(bundle)["files"]
    edit(bundle, files={**old, "members": {**old["members"], **changes}})


def cut(bundle):
    file = bundle / "members.safetensors"
    file.write_bytes(file.read_bytes()[:-7])


def flip(bundle):
    file = bundle / "members.safetensors"
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)


def regroup(bundle, **changes):
    first, second = read_manifest(bundle)["groups"]
    edit(bundle, groups=[{**first, **changes}, second])


DAMAGE = {
    "no manifest": (lambda b: (b / "manifest.json").unlink(), "has no manifest.json"),
    "no json": (lambda b: (b / "manifest.json").write_text("{"), "is not JSON"),
    "binary": (lambda b: (b / "manifest.json").write_bytes(b"\xff\xfe\x00"), "is not JSON"),
    "a list": (lambda b: (b / "manifest.json").write_text("[]"), "something else"),
    "other format": (lambda b: edit(b, format="x"), "something else"),
    "newer": (lambda b: edit(b, version=2), "version 2, this program reads version 1"),
    "no groups": (lambda b: edit(b, groups=[]), r"n_models is 5, but the groups hold.*\[\]"),
    "bad groups": (lambda b: edit(b, groups=[{}]), "malformed"),
    "bad seeds": (lambda b: edit(b, seeds=[1]), "1 seeds"),
    "unknown kind": (lambda b: regroup(b, kind="os.system"), "unknown kind of member 'os.system'"),
    "bad description": (lambda b: regroup(b, description={"units": 4}), "from its description"),
    "wrong size": (
        lambda b: regroup(b, description={"features": 6, "units": 9, "answer": "point"}),
        r"params\.back is float32\(3, 4, 4\).*\(3, 9, 9\)",
    ),
    "unknown weighting": (
        lambda b: edit(b, weighting={"kind": "unifrom"}),
        "did you mean 'uniform'",
    ),
    "bad scaling": (lambda b: edit(b, scaling={"names": []}), "does not fit together"),
    "no file": (lambda b: (b / "members.safetensors").unlink(), "lacks members.safetensors"),
    "no calibration": (lambda b: (b / "calibration.safetensors").unlink(), "lacks calibration"),
    "cut short": (cut, "bytes, the manifest says"),
    "altered": (flip, "was altered"),
    "outside": (lambda b: entry(b, name="../../etc/passwd"), "outside the bundle"),
    "no entry": (lambda b: edit(b, files={}), "names no file for 'members'"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(bundle, name):
    damage, message = DAMAGE[name]
    shoal.load(bundle)  # it was whole before
    damage(bundle)
    with pytest.raises(BundleError, match=message):
        shoal.load(bundle)


def test_no_bundle_at_all(tmp_path):
    with pytest.raises(BundleError, match="is no bundle"):
        shoal.load(tmp_path / "nothing")


def test_other_folders_are_left_alone(tmp_path, crowd_of):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(BundleError, match="is no bundle; choose another"):
        shoal.save(crowd_of(), tmp_path)
    with pytest.raises(BundleError, match="is no bundle; choose another"):
        shoal.save(crowd_of(), tmp_path / "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_the_old_bundle_is_untouched_until_the_new_one_is_whole(
    tmp_path, crowd_of, data, monkeypatch
):
    old, new = crowd_of(), crowd_of(n=3)
    path = shoal.save(old, tmp_path / "b")
    wanted = old.predict(data).mean
    steps = {"left": 0}
    real = files.write

    def fail_after(file, content):
        if steps["left"] == 0:
            file.write_bytes(content[: len(content) // 2])
            raise OSError("disk full")
        steps["left"] -= 1
        return real(file, content)

    monkeypatch.setattr(files, "write", fail_after)
    for allowed in (0, 1):  # while writing arrays, while writing the manifest
        steps["left"] = allowed
        with pytest.raises(OSError, match="disk full"):
            shoal.save(new, path)
        np.testing.assert_array_equal(shoal.load(path).predict(data).mean, wanted)
    steps["left"] = 99
    shoal.save(new, path)
    np.testing.assert_array_equal(shoal.load(path).predict(data).mean, new.predict(data).mean)
    shoal.save(old, path)  # and back, and nothing of the failures is left
    np.testing.assert_array_equal(shoal.load(path).predict(data).mean, wanted)
    assert len(list(path.glob("*.safetensors"))) == 1


def test_a_failed_first_save_leaves_nothing(tmp_path, crowd_of, monkeypatch):
    monkeypatch.setattr(saving, "to_bytes", lambda arrays: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        shoal.save(crowd_of(), tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_importing_the_reader_imports_no_jax():
    program = "import sys, shoal.bundle.manifest; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
