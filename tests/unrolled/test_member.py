"""A member from its description answers what the JAX member does; what cannot be is refused."""

import numpy as np
import pytest

from shoal.bundle.arrays import named_leaves
from shoal.neurons.model import build_model, describe
from shoal.unrolled.member import answer, member_of
from shoal.unrolled.plans import stack_of
from shoal.wirings import AutoNCP

RNG = np.random.default_rng(0)
X, SPANS = RNG.normal(size=(3, 5, 3)), RNG.uniform(0, 2, (3, 5))
MASK = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool)
CASES = [
    ({"kind": "cfc", "units": 4, "backbone_dropout": 0.1, "mixed_memory": True}, "zscore"),
    ({"kind": "ltc", "wiring": AutoNCP(8, 2).to_dict(), "ode_unfolds": 2}, "bounded"),
    ({"kind": "gru", "units": 4, "bidirectional": True, "num_layers": 2}, "log"),
]


@pytest.mark.parametrize(("config", "scale"), CASES, ids=["cfc", "ltc", "gru"])
@pytest.mark.parametrize("likelihood", ["normal", "categorical"])
def test_a_member_answers_as_in_jax(config, scale, likelihood, x64):
    time = {"kind": scale, "mean": 0.7, "std": 0.3}
    more = {"input_size": 3, "output_shape": [2, 2], "dtype": "float64", "time_scaling": time}
    model = build_model({**config, **more, "likelihood": likelihood}, 0)
    plan = member_of(describe(model))
    params = {name: np.asarray(leaf) for name, leaf in named_leaves(model).items()}
    assert set(params) == set(plan.shapes()) | set(plan.frozen())
    assert all(params[name].shape == shape for name, shape in plan.shapes().items())
    found = answer(np, plan, params | plan.buffers(), X, SPANS, MASK)
    wanted = model(X, SPANS, mask=MASK)
    assert type(found) is type(wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    alone = answer(np, plan, params | plan.buffers(), X[0], SPANS[0], MASK[0])
    np.testing.assert_allclose(alone[0], found[0][0], rtol=1e-12, atol=1e-12)


REFUSED = [
    ("rnn", {}, "`kind` must be one of cfc, ltc"),
    ("cfc", {"units": 3}, "needs the argument `input_size`"),
    ("cfc", {"input_size": 3}, "needs the argument `units`"),
    ("cfc", {"input_size": 3, "units": 2, "taus": 1}, "no argument `taus`"),
    ("cfc", {"input_size": 0, "units": 2}, "`input_size` must be a whole number of at least 1"),
    ("cfc", {"input_size": 3, "units": AutoNCP(8, 2), "backbone_units": 3}, "with a wiring"),
    ("cfc", {"input_size": 3, "units": 2, "mode": "fast"}, "`mode` must be one of default"),
    ("cfc", {"input_size": 3, "units": AutoNCP(8, 2).build(4)}, "built for 4 inputs"),
    ("ltc", {"input_size": 3, "units": 2, "solver": "adaptive"}, "JAX only"),
    ("ltc", {"input_size": 3, "units": 2, "epsilon": 0.0}, "`epsilon` must be greater than 0"),
    ("ctrnn", {"input_size": 3, "units": 2, "tau": -1.0}, "`tau` must be greater than 0"),
    ("ctgru", {"input_size": 3, "units": 2, "n_scales": 0}, "`n_scales` must be a whole number"),
    ("lstm", {"input_size": 3, "units": AutoNCP(8, 2)}, "must be a whole number"),
    ("gru", {"input_size": 3, "units": 2, "num_layers": 0}, "`num_layers` must be"),
    ("gru", {"input_size": 3, "units": 2, "residual": True}, "`residual` needs a layer as wide"),
]


@pytest.mark.parametrize(("kind", "arguments", "message"), REFUSED)
def test_what_cannot_be_is_refused_by_name(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        stack_of(kind, arguments)


def test_a_description_must_fit_together():
    given = {"kind": "ltc", "input_size": 3, "units": 2}
    with pytest.raises(ValueError, match="output_shape"):
        member_of(given)
    with pytest.raises(ValueError, match="zscore gives elapsed times below 0"):
        member_of(given | {"output_shape": [1], "time_scaling": {"kind": "zscore"}})
    with pytest.raises(ValueError, match="`likelihood` must be one of"):
        member_of(given | {"output_shape": [1], "likelihood": "cauchy"})
