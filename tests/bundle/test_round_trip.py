"""What is saved comes back: bits, weights, scaling, schema, calibration, info."""

import json
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import shoal
from shoal.bundle import read_manifest, registry
from shoal.collective import Collective
from shoal.data.schema import Schema
from shoal.population import Group, Population
from shoal.weighting import Evidence, InverseLoss


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("answer", ["point", "normal", "categorical"])
def test_predictions_are_the_same_to_the_bit(tmp_path, crowd_of, data, answer):
    crowd = crowd_of(answer)
    shoal.save(crowd, tmp_path / "b")
    again = shoal.load(tmp_path / "b")
    assert again.seeds == (42, 43, 44, 45, 46)
    assert [g.indices for g in again.population.groups] == [(0, 2, 4), (1, 3)]
    before, after = crowd.predict(data), again.predict(data)
    np.testing.assert_array_equal(before.members, after.members)
    np.testing.assert_array_equal(before.std, after.std)


@pytest.mark.usefixtures("registered")
def test_everything_around_the_members_comes_back(tmp_path, crowd_of, data):
    losses = Evidence(np.array([1.0, 2.0, np.nan, 4.0, 5.0]))
    crowd = crowd_of()
    schema = Schema("forecast", "t", ("a", "b"), ("b",), horizons=(1, 2), step=1.0)
    crowd = Collective(
        crowd.population, InverseLoss().fit(losses), scaling=crowd.scaling, schema=schema
    ).calibrate(data)
    shoal.save(crowd, tmp_path / "b", info={"statuses": ["finished"] * 5})
    again = shoal.load(tmp_path / "b")
    assert again.weighting == crowd.weighting
    assert again.scaling == crowd.scaling
    assert again.schema == schema
    for level in (0.5, 0.9, 0.99):
        for a, b in zip(
            again.predict(data).interval(level), crowd.predict(data).interval(level), strict=True
        ):
            np.testing.assert_array_equal(a, b)
    manifest = read_manifest(tmp_path / "b")
    assert manifest["info"] == {"statuses": ["finished"] * 5}
    assert manifest["packages"]["jax"] == jax.__version__


def test_the_users_own_members_need_make_and_run_nothing(tmp_path, crowd_of, data):
    crowd = crowd_of()
    shoal.save(crowd, tmp_path / "b")
    with pytest.raises(ValueError, match=r"class .*Recurrent.*give `make`"):
        shoal.load(tmp_path / "b")
    size = crowd.scaling.encoded_size
    kind = type(crowd.population.member(0))
    makes = [lambda key, u=u: kind(size, u, key=key) for u in (4, 3)]
    again = shoal.load(tmp_path / "b", make=makes)
    np.testing.assert_array_equal(again.predict(data).members, crowd.predict(data).members)
    with pytest.raises(ValueError, match=r"params\.back.*\(2, 4, 4\)|params\.back.*\(2, 3, 3\)"):
        shoal.load(tmp_path / "b", make=makes[0])  # names the path and both shapes
    with pytest.raises(ValueError, match="each of the 2 groups"):
        shoal.load(tmp_path / "b", make=makes[:1])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.int8, jnp.bool_])
def test_every_dtype_and_transposed_arrays(tmp_path, dtype):
    class Member(eqx.Module):
        w: jax.Array

        def __call__(self, x, timespans=None, *, mask=None, key=None):
            return x @ self.w.astype(x.dtype)

    w = jnp.asarray(np.arange(6).reshape(2, 3).T, dtype)
    crowd = Collective.of([Member(w), Member(2 * w if dtype != jnp.bool_ else ~w)])
    shoal.save(crowd, tmp_path / "b")
    again = shoal.load(tmp_path / "b", make=lambda key: Member(jnp.zeros((3, 2), dtype)))
    for a, b in zip(
        jax.tree.leaves(again.population), jax.tree.leaves(crowd.population), strict=True
    ):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a, float), np.asarray(b, float))


def test_the_manifest_is_readable_without_jax(tmp_path, crowd_of):
    shoal.save(crowd_of(), tmp_path / "b")
    program = """
import sys
sys.modules["jax"] = sys.modules["equinox"] = None
from shoal.bundle.manifest import read_arrays, read_manifest
manifest = read_manifest(sys.argv[1])
print({k: v.shape for k, v in read_arrays(sys.argv[1], manifest, "members").items()})
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "b")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'0/params.back': (3, 4, 4)" in done.stdout


@pytest.mark.usefixtures("registered")
def test_loading_computes_nothing(tmp_path, crowd_of, monkeypatch):
    shoal.save(crowd_of(), tmp_path / "b")
    monkeypatch.setattr(jax.random, "split", _traced_only(jax.random.split))
    shoal.load(tmp_path / "b")


def _traced_only(function):
    def check(key, *args):
        assert isinstance(key, jax.core.Tracer)
        return function(key, *args)

    return check


def test_what_cannot_be_saved_is_said(tmp_path):
    with pytest.raises(ValueError, match="other libraries"):
        shoal.save(Collective.of([lambda x, t: x]), tmp_path / "b")

    class Keyed(eqx.Module):
        w: jax.Array
        key: jax.Array

    group = Group(Keyed(jnp.ones((1, 2)), jax.random.key(0)[None]), (0,))
    with pytest.raises(ValueError, match="key is a random key"):
        shoal.save(Collective(Population((group,), (0,))), tmp_path / "b")
    assert not (tmp_path / "b").exists()


@pytest.mark.usefixtures("registered")
def test_a_description_that_lies_is_found_at_once(tmp_path, crowd_of):
    crowd = crowd_of(n=1)
    member = crowd.population.member(0)
    member = eqx.tree_at(lambda m: m.params["out"], member, jnp.ones((4, 3)))
    with pytest.raises(ValueError, match=r"differ in params\.out"):
        shoal.save(Collective.of([member]), tmp_path / "b")


@pytest.mark.usefixtures("registered")
def test_a_description_that_leaves_out_a_setting_is_found(tmp_path, crowd_of, monkeypatch):
    kind = registry.kind("recurrent")
    whole = kind.describe
    monkeypatch.setattr(type(kind), "describe", lambda self, m: {**whole(m), "answer": "point"})
    with pytest.raises(ValueError, match="other settings"):
        shoal.save(crowd_of("normal", n=1), tmp_path / "b")


def test_json_is_strict(tmp_path, crowd_of):
    shoal.save(crowd_of(), tmp_path / "b", info={"loss": 1.0})
    json.loads((tmp_path / "b/manifest.json").read_text(), parse_constant=lambda c: pytest.fail(c))
