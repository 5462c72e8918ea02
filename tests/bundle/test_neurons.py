"""Every neuron of the library, saved, loaded and exported through its own kind."""

from functools import cache

import jax
import numpy as np
import pytest

import shoal
from shoal.bundle import registry
from shoal.bundle.arrays import named_leaves
from shoal.bundle.manifest import BundleError
from shoal.bundle.stablehlo import exported_member
from shoal.collective import Collective
from shoal.data.scaling import fit_scaling
from shoal.data.sequences import Sequences
from shoal.neurons.model import NEURONS, build_model
from shoal.population import Population
from shoal.wirings import AutoNCP

RNG = np.random.default_rng(0)


def sequences(rows, time):
    x = 20 + RNG.normal(size=(rows, time, 2))
    x[RNG.random(x.shape) < 0.3] = np.nan
    x[:, 0] = 20.0
    return Sequences(x, RNG.uniform(0, 2, (rows, time)), y=RNG.normal(20, 1, (rows, 2, 1)))


SCALING = fit_scaling(sequences(30, 6), ["a", "b"], change_of=[0])
COMMON = {"input_size": SCALING.encoded_size, "output_shape": [2, 1]}
COMMON |= {"time_scaling": {"kind": "normalised", "mean": SCALING.time.mean}}
OPTIONS = {kind: {"units": 5} for kind in NEURONS} | {
    "wired cfc": {"kind": "cfc", "wiring": AutoNCP(9, 2).to_dict(), "likelihood": "normal"},
    "wired ltc": {
        "kind": "ltc",
        "wiring": AutoNCP(9, 2).to_dict(),
        "mixed_memory": True,
        "ode_unfolds": 2,
    },
    "ltc": {"units": 5, "ode_unfolds": 2},
    "ctrnn": {"units": 5, "ode_unfolds": 2},
    "deep": {"kind": "gru", "units": 4, "num_layers": 2, "bidirectional": True, "dropout": 0.1},
}


@cache
def crowd_of(name, n=2, **more):
    config = {"kind": name, **COMMON, **OPTIONS[name], **more}
    return Collective(Population.init(lambda key: build_model(config, key), n), scaling=SCALING)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_description_is_the_whole_structure(name):
    member = crowd_of(name).population.member(0)
    kind, description = registry.describe(member)
    assert kind == "sequence_model"
    built = registry.template(kind, description)
    assert jax.tree.structure(built) == jax.tree.structure(member)  # static fields too


@pytest.mark.parametrize("name", ["wired cfc", "ltc", "deep"])
def test_round_trip_without_make(tmp_path, name):
    crowd, data = crowd_of(name), sequences(4, 9)
    shoal.save(crowd, tmp_path / "b")
    again = shoal.load(tmp_path / "b").predict(data)
    np.testing.assert_array_equal(again.members, crowd.predict(data).members)


@pytest.mark.parametrize("name", OPTIONS)
def test_exports_run_at_other_sizes_on_every_platform(name):
    crowd, data = crowd_of(name), sequences(3, 11)
    member = crowd.population.member(1)
    exported = exported_member(member, SCALING, 2)
    assert len(exported.in_avals) == len(named_leaves(member)) + 2
    assert "_platform_index" not in exported.mlir_module()
    params = {path: np.asarray(leaf) for path, leaf in named_leaves(member).items()}
    found = exported.call(params, data.x.astype(np.float32), data.timespans.astype(np.float32))
    found = found["mean"] if isinstance(found, dict) else found
    np.testing.assert_allclose(found, crowd.predict(data).members[1], rtol=1e-5)


def test_an_adaptive_solver_is_named():
    member = crowd_of("ltc", solver="adaptive").population.member(0)
    with pytest.raises(BundleError, match="adaptive"):
        exported_member(member, SCALING, 2)


def test_members_of_unlike_time_scaling_share_one_group(tmp_path):
    kinds = ["raw", "log", "bounded"]
    configs = [
        {"kind": "cfc", "units": 4, **COMMON, "time_scaling": {"kind": k, "mean": 1.0}}
        for k in kinds
    ]
    members = [build_model(c, i) for i, c in enumerate(configs)]
    crowd, data = Collective.of(members, scaling=SCALING), sequences(4, 7)
    assert len(crowd.population.groups) == 1
    shoal.save(crowd, tmp_path / "b")
    again = shoal.load(tmp_path / "b")
    np.testing.assert_array_equal(again.predict(data).members, crowd.predict(data).members)
