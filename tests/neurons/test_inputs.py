"""What a layer refuses, and with which words; the gaps ahead; initialisers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal import GRU, LTC, CfC
from shoal.neurons.initialise import INITIALIZERS, as_key, initialise
from shoal.neurons.inputs import gaps_ahead
from shoal.neurons.stack import PROJECTION

RNN = CfC(3, 4, backbone_units=5, key=0)
X = np.ones((2, 5, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.ones((2, 5, 4))}, r"`x` must have input_size = 3 features.*got \(2, 5, 4\)"),
        ({"x": np.ones((2, 3, 5))}, r"move the features to the last axis"),
        ({"x": np.ones(3)}, r"`x` must be \(batch, time, 3\) or \(time, 3\), got \(3,\)"),
        (
            {"timespans": np.ones((5, 2))},
            r"`timespans` must be \(batch, time\) = \(2, 5\), got \(5, 2\); transpose it",
        ),
        ({"timespans": np.ones(2)}, r"`timespans`.*got \(2,\); for one value per series"),
        ({"timespans": np.ones((2, 5, 2))}, r"`timespans`.*got \(2, 5, 2\); give one value per"),
        ({"mask": np.ones((5, 2))}, r"`mask`.*got \(5, 2\); transpose it"),
        ({"state": np.ones((3, 4))}, r"`state` must have arrays of shape \(2, 4\), got \(3, 4\)"),
        ({"state": (np.ones((2, 4)),) * 2}, r"`state` must have the structure"),
    ],
)
def test_wrong_inputs_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RNN(**{"x": X, **arguments})


def test_negative_time_is_refused_where_it_makes_no_sense():
    elapsed = np.ones((2, 5))
    elapsed[1, 2] = -0.5
    with pytest.raises(ValueError, match=r"`timespans` must be at least 0.*got -0.5; sort"):
        LTC(3, 4, key=0)(X, timespans=elapsed)
    # a z-score is below zero at times
    assert np.isfinite(RNN(X, timespans=elapsed)[0]).all()
    # what is traced cannot be seen
    jax.eval_shape(lambda t: LTC(3, 4, key=0)(X, timespans=t), elapsed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": 0}, "`units` must be a whole number of at least 1, got 0"),
        ({"units": 2.5}, "`units` must be a whole number"),
        ({"num_layers": 0}, "`num_layers` must be a whole number"),
        ({"proj_size": -1}, "`proj_size` must be a whole number"),
        ({"backbone_layers": -1}, "`backbone_layers` must be a whole number"),
        ({"backbone_dropout": 1.0}, "`backbone_dropout` must be at least 0 and below 1"),
        ({"dropout": 1.5}, r"`dropout` must be at least 0 and below 1, got 1\.5"),
        ({"mode": "gated"}, "`mode` must be one of default, pure, no_gate; got 'gated'"),
        ({"activation": "selu"}, "`activation` must be one of lecun_tanh.*'selu'"),
        ({"initializer": "glorot"}, "`initializer` must be one of xavier_uniform.*'glorot'"),
        ({"dtype": "int32"}, "`dtype` must be floating-point.*int32"),
        ({"dtype": "float64"}, "64-bit mode"),
        ({"residual": True}, "`residual` needs a layer as wide as its input"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CfC(3, **{"units": 4, "key": 0, **options})


@given(st.lists(st.tuples(st.floats(0, 9, width=32), st.booleans()), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_the_gap_ahead_is_that_of_the_next_observation(steps):
    elapsed, mask = map(np.array, zip(*steps, strict=True))
    padded = np.zeros(6, np.float32), np.zeros(6, bool)
    padded[0][: len(steps)], padded[1][: len(steps)] = elapsed, mask
    got = gaps_ahead(jnp.asarray(padded[0][None]), jnp.asarray(padded[1][None]))[0]
    for t in range(6):
        later = np.flatnonzero(padded[1][t + 1 :])
        expected = padded[0][t + 1 + later[0]] if later.size else 0.0
        assert got[t] == expected


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initialisers(name):
    key = as_key(0)
    sizes = {"inputs": 20, "outputs": 40}
    drawn = initialise(PROJECTION, sizes, key=key, initializer=name)
    weight = np.asarray(drawn["weight"])
    assert weight.shape == (40, 20)
    assert not drawn["bias"].any()
    spread = {"normal": 0.02, "zeros": 0.0, "orthogonal": 40**-0.5}
    spread |= dict.fromkeys(("xavier_uniform", "xavier_normal"), (2 / 60) ** 0.5)
    spread |= dict.fromkeys(("he_uniform", "he_normal"), (2 / 20) ** 0.5)
    spread |= dict.fromkeys(("lecun_uniform", "lecun_normal"), (1 / 20) ** 0.5)
    assert weight.std() == pytest.approx(spread[name], rel=0.1)


def test_an_initialiser_may_be_a_function():
    rnn = GRU(3, 4, initializer=lambda key, shape, dtype: jnp.full(shape, 0.5, dtype), key=0)
    params = rnn.stack.layers[0].forward.params
    assert np.all(params["input_weight"] == 0.5)
    assert np.all(params["recurrent_weight"] == 0.5)
    assert not params["input_bias"].any()
