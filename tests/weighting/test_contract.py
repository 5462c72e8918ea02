"""What every rule of the registry must do."""

import json
from pathlib import Path

import numpy as np
import pytest

import shoal.weighting as weighting
from shoal.weighting import RULES, Evidence, describe, resolve

N = 4
EXAMPLES = {
    "uniform": {"kind": "uniform"},
    "fixed": {"kind": "fixed", "weights": [1, 0, 2, 1]},
    "inverse_loss": {"kind": "inverse_loss", "power": 2.0},
    "softmax_loss": {"kind": "softmax_loss", "temperature": 0.5},
}
EVIDENCE = Evidence(losses=np.array([1.0, 0.5, np.nan, 2.0]))
X, T = np.zeros((6, 3, 2)), np.ones((6, 3))


@pytest.fixture(params=sorted(RULES))
def fitted(request):
    return resolve(EXAMPLES[request.param]).fit(EVIDENCE)


def test_every_rule_has_its_file_and_every_file_its_rule():
    files = {p.stem for p in Path(weighting.__file__).parent.glob("*.py")}
    assert files - {"__init__", "registry", "evidence"} == set(RULES)


def test_weights_are_normalised(fitted):
    w = fitted.weights(N, X, T)
    assert w.shape in [(N,), (N, 6)]
    assert (w >= 0).all()
    np.testing.assert_allclose(w.sum(0), 1.0)


def test_json_round_trip(fitted):
    again = resolve(json.loads(json.dumps(describe(fitted), allow_nan=False)))
    assert again == fitted
    np.testing.assert_array_equal(again.weights(N, X, T), fitted.weights(N, X, T))


def test_some_of_the_members_keep_their_ratio(fitted):
    w = fitted.weights(N, X, T)[[0, 3]]
    np.testing.assert_allclose(fitted.select([0, 3]).weights(2, X, T), w / w.sum(0))


def test_rules_are_immutable_and_fit_returns_a_new_one(fitted):
    with pytest.raises(AttributeError):
        fitted.kind_of_thing = 1
    before = resolve(EXAMPLES[fitted.kind])
    before.fit(EVIDENCE)
    assert before == resolve(EXAMPLES[fitted.kind])
