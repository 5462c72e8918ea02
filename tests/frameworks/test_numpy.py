"""The crowd of a bundle asked in NumPy: what is around the members is JAX's to the last digit."""

import json

import numpy as np
import pytest

import shoal
from shoal.bundle.contents import read_members
from shoal.bundle.crowd import read_crowd
from shoal.bundle.manifest import BundleError
from shoal.neurons.model import describe
from shoal.unrolled.member import answer, member_of
from shoal.weighting import InverseLoss


def build(member):
    plan = member_of(member.description)
    return plan, member.parameters | plan.buffers()


def ask(member, x, timespans, mask):
    plan, params = member
    return answer(np, plan, params, x, timespans, mask)


@pytest.mark.parametrize("name", ["forecast", "groups", "classes", "plain"])
def test_numpy_answers_what_jax_answers(asked, name):
    given = np.load(asked / f"{name}.npz")
    for dtype, tolerance in ((np.float32, 2e-5), (np.float64, 2e-6)):
        crowd = read_crowd(asked / name, build, ask, dtype)
        p = crowd.predict(given["x"], given["timespans"], given.get("mask"))
        for key in ("mean", "std", "members", "aleatoric"):
            np.testing.assert_allclose(getattr(p, key), given[key], tolerance, tolerance)
        if name != "classes":
            found = np.stack(p.interval(0.8))
            expected = np.stack([given["lower"], given["upper"]])
            np.testing.assert_allclose(found, expected, tolerance, tolerance)


def test_every_member_has_its_own_description(asked):
    crowd = shoal.load(asked / "groups")
    for index, member in enumerate(read_members(asked / "groups")):
        assert member.description == describe(crowd.population.member(index))
        assert not [name for name in member.parameters if name.endswith("rate.value")]


def test_some_of_the_members(asked):
    given = np.load(asked / "groups.npz")
    crowd = read_crowd(asked / "groups", build, ask)
    some = crowd.select([3, 0])
    assert some.seeds == (45, 42)
    assert some.weighting == InverseLoss(losses=(4.0, 1.0))
    p = some.predict(given["x"], given["timespans"], given["mask"])
    np.testing.assert_allclose(p.members, given["members"][[3, 0]], rtol=1e-5)
    np.testing.assert_allclose(p.mean, 0.2 * p.members[0] + 0.8 * p.members[1])
    with pytest.raises(ValueError, match="at least one member"):
        crowd.select([])
    assert read_crowd(asked / "forecast", build, ask).select([0]).calibration is None


def test_bad_input_is_refused_as_by_jax(asked):
    given = np.load(asked / "forecast.npz")
    crowd = read_crowd(asked / "forecast", build, ask)
    with pytest.raises(ValueError, match="with the 2 features a, b"):
        crowd.predict(given["x"][..., :1])
    with pytest.raises(ValueError, match=r"`timespans` must be .*transpose"):
        crowd.predict(given["x"], given["timespans"].T)
    crowd, given = read_crowd(asked / "groups", build, ask), np.load(asked / "groups.npz")
    crowd.members[1][1]["head.params.bias"][:] = np.nan
    with pytest.raises(ValueError, match=r"members 1 \(seed 43\) .*select\(\[0, 2, 3\]\)"):
        crowd.predict(given["x"], given["timespans"], given["mask"])


def refused(asked, tmp_path, message, name="groups", **changes):
    manifest = json.loads((asked / name / "manifest.json").read_text())
    group = manifest["groups"][0]
    group["description"] |= changes.pop("description", {})
    group |= changes.pop("group", {})
    (tmp_path / "members.safetensors").write_bytes(
        (asked / name / "members.safetensors").read_bytes()
    )
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, **changes}))
    with pytest.raises(ValueError, match=message) as caught:
        read_crowd(tmp_path, build, ask)
    return caught.value


def test_what_only_jax_can_do_is_named(asked, tmp_path):
    mine = {"kind": None, "description": {"class": "my.Model"}}
    error = refused(asked, tmp_path, r"kind my\.Model.*shoal\.load", group=mine)
    assert isinstance(error, BundleError)
    refused(asked, tmp_path, r"kind 'other'", group={"kind": "other"})
    refused(asked, tmp_path, "adaptive.*JAX only", description={"solver": "adaptive"})
    refused(asked, tmp_path, "version 9, this program reads version 1", version=9)
    refused(asked, tmp_path, "did you mean 'uniform'", weighting={"kind": "unifrom"})
    (tmp_path / "manifest.json").write_bytes((asked / "groups/manifest.json").read_bytes())
    (tmp_path / "members.safetensors").unlink()
    with pytest.raises(BundleError, match=r"lacks members\.safetensors"):
        read_crowd(tmp_path, build, ask)
