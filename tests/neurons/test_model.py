"""Members made of a neuron: answers, scaled time, description, export."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from shoal.equations.outputs import Categorical, Normal
from shoal.neurons import Head, SequenceModel, TimeScaling, build_model, describe, time_constants
from shoal.neurons.model import KIND
from shoal.wirings import AutoNCP

BASE = {"input_size": 3, "units": 4, "output_shape": [2, 2]}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 3)).astype(np.float32)
ELAPSED = RNG.uniform(0.1, 3.0, (3, 5)).astype(np.float32)
CONFIGS = {
    "cfc": {"kind": "cfc", "backbone_dropout": 0.1, "time_scaling": {"kind": "zscore", "std": 0.3}},
    "cfc wired": {"kind": "cfc", "wiring": AutoNCP(8, 2).to_dict(), "likelihood": "normal"},
    "ltc": {"kind": "ltc", "mixed_memory": True, "ode_unfolds": 2},
    "ctrnn": {"kind": "ctrnn", "initializer": "orthogonal"},
    "ctgru": {"kind": "ctgru", "n_scales": 3, "time_scaling": {"kind": "log", "mean": 3.3}},
    "lstm": {"kind": "lstm", "bidirectional": True, "num_layers": 2, "dropout": 0.3},
    "gru": {"kind": "gru", "use_timespans": True, "likelihood": "categorical"},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_description_builds_the_same_model_again(name):
    model = build_model(BASE | CONFIGS[name], 7)
    data = json.loads(json.dumps(describe(model)))
    assert eqx.tree_equal(build_model(data, 7), model)
    assert describe(KIND.build(data, jax.random.key(1))) == data


def test_answers_have_the_type_of_their_likelihood():
    point = build_model(BASE | {"kind": "gru"}, 0)(X)
    assert point.shape == (3, 2, 2)
    normal = build_model(BASE | {"kind": "gru", "likelihood": "normal"}, 0)(X)
    assert isinstance(normal, Normal)
    assert normal.mean.shape == normal.std.shape == (3, 2, 2)
    assert np.all(normal.std > 0)
    classes = build_model(BASE | {"kind": "gru", "likelihood": "categorical"}, 0)(X[0])
    assert isinstance(classes, Categorical)
    assert classes.logits.shape == (2, 2)


def test_the_last_observation_counts_and_time_is_scaled():
    model = build_model(
        BASE | {"kind": "cfc", "time_scaling": {"kind": "normalised", "mean": 2.0}}, 0
    )
    mask = np.arange(5) < np.array([5, 2, 3])[:, None]
    answer = model(X, ELAPSED, mask=mask)
    for i, length in enumerate([5, 2, 3]):
        alone = model.rnn(X[i, :length], timespans=ELAPSED[i, :length] / 2.0)[0][-1]
        np.testing.assert_allclose(answer[i], model.head(alone), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model(X), model(X, 1.0), rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("raw", [0.0, 1.0, 4.0]),
        ("log", np.log([1.0, 1.5, 3.0])),
        ("normalised", [0.0, 0.5, 2.0]),
        ("zscore", [-4.0, -2.0, 4.0]),
        ("bounded", [0.0, 1 / 3, 2 / 3]),
    ],
)
def test_time_scales_and_their_inverse(kind, expected):
    scaling = TimeScaling(kind, mean=2.0, std=0.5)
    raw = jnp.array([0.0, 1.0, 4.0])
    np.testing.assert_allclose(scaling(raw), expected, rtol=1e-6)
    np.testing.assert_allclose(scaling.inverse(scaling(raw)), raw, atol=1e-6)
    assert np.isfinite(jax.jit(jax.grad(lambda t: scaling(t).sum()))(raw)).all()
    assert scaling.describe() == {"kind": kind, "mean": 2.0, "std": 0.5}


def test_equal_gaps_have_no_spread_and_need_none():
    assert TimeScaling("normalised", mean=7.0, std=0.0)(jnp.array(7.0)) == 1.0
    with pytest.raises(ValueError, match=r"`std` must be greater than 0 for 'zscore', got 0.0"):
        TimeScaling("zscore", mean=7.0, std=0.0)


def test_time_constants_are_in_raw_units():
    options = {"kind": "ctrnn", "tau": 4.0, "time_scaling": {"kind": "normalised", "mean": 2.5}}
    np.testing.assert_allclose(
        time_constants(build_model(BASE | options, 0))["CTRNN"], 10.0, rtol=1e-5
    )
    wired = build_model(BASE | CONFIGS["cfc wired"], 0)
    assert time_constants(wired)["CfC"].shape == (8,)
    both = time_constants(build_model(BASE | {"kind": "ltc", "bidirectional": True}, 0))
    assert list(both) == ["LTC forward", "LTC backward"]
    assert all((tau > 0).all() for tau in both.values())
    assert time_constants(build_model(BASE | {"kind": "lstm"}, 0)) == {}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "cfd"}, "`kind` must be one of cfc, ltc.*'cfd'"),
        ({"kind": "gru", "mode": "pure"}, "'gru' cannot be built.*mode"),
        ({"kind": "lstm", "wiring": AutoNCP(8, 2).to_dict()}, "`units` must be a whole number"),
        ({"kind": "gru", "likelihood": "gamma"}, "`likelihood` must be one of point.*'gamma'"),
        ({"kind": "ltc", "time_scaling": {"kind": "zscore"}}, "zscore gives elapsed times below 0"),
    ],
)
def test_wrong_descriptions_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        build_model(BASE | wrong, 0)


def test_what_has_no_description_says_so():
    with pytest.raises(TypeError, match="not a SequenceModel"):
        describe(jnp.ones(3))
    own = build_model(BASE | {"kind": "gru", "initializer": jax.nn.initializers.normal()}, 0)
    with pytest.raises(TypeError, match="initializer"):
        describe(own)
    with pytest.raises(ValueError, match="output_size = 4 features, got in_size = 5"):
        SequenceModel(own.rnn, Head(5, (2,), key=0))


EXPORTED = {
    "dense": {"kind": "cfc"},
    "wired": {"kind": "cfc", "wiring": AutoNCP(8, 2).to_dict()},
    "lstm": {"kind": "lstm", "use_timespans": True},
    "both directions": {"kind": "cfc", "bidirectional": True, "num_layers": 2, "residual": True},
}


@pytest.mark.parametrize("name", EXPORTED)
def test_batch_and_time_stay_symbolic_in_an_export(name):
    model = build_model(BASE | EXPORTED[name], 0)
    leaves, structure = jax.tree.flatten(eqx.filter(model, eqx.is_array))
    static = eqx.filter(model, eqx.is_array, inverse=True)
    params = {str(i): leaf for i, leaf in enumerate(leaves)}

    def predict(params, x, elapsed, mask):
        arrays = jax.tree.unflatten(structure, [params[str(i)] for i in range(len(leaves))])
        return eqx.combine(arrays, static)(x, elapsed, mask=mask)

    batch, time = export.symbolic_shape("batch, time")
    shapes = [((batch, time, 3), jnp.float32), ((batch, time), jnp.float32), ((batch, time), bool)]
    specs = [jax.ShapeDtypeStruct(*spec) for spec in shapes]
    artefact = export.export(jax.jit(predict))(params, *specs)
    artefact = export.deserialize(artefact.serialize())
    mask = np.arange(5) < np.array([5, 2, 3])[:, None]
    got = artefact.call(params, X, ELAPSED, mask)
    np.testing.assert_allclose(got, model(X, ELAPSED, mask=mask), rtol=1e-5, atol=1e-6)
