"""Every weighting of members that are alike and unlike, saved with the crowd; and bad input."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from shoal.bundle import load, save
from shoal.collective import Collective
from shoal.weighting import RULES, Evidence, Stacking, resolve

EXAMPLES = {
    "fixed": {"weights": [1, 2]},
    "pooled": {"weights": [0.3, 0.7], "pool": "median"},
    "time_table": {"edges": [1.0]},
    "local": {"neighbours": 3},
}
KINDS = [*sorted(RULES), "mlp"]


@pytest.fixture
def rule_of():
    """`rule_of(kind, crowd, data)`: the rule after it has learned from what the members say."""

    def build(kind, crowd, data):
        rule = (
            Stacking(kind) if kind == "mlp" else resolve({"kind": kind, **EXAMPLES.get(kind, {})})
        )
        said = crowd.predict(data).outputs
        evidence = Evidence(
            np.array([0.2, 0.3]), said, data.y, None, data.x, data.timespans, data.mask
        )
        return rule.fit(evidence)

    return build


SAVED = {
    "alike": ("normal", {"local", "mlp", "time_curve"}),
    "unlike": ("normal", set(KINDS) - {"hard_vote"}),
    "votes": ("categorical", {"hard_vote", "stacking"}),
}


@pytest.mark.parametrize("members", SAVED)
def test_every_weighting_is_saved_with_the_crowd(
    registered, crowd_of, data, rule_of, tmp_path, members
):
    answer, kinds = SAVED[members]
    crowd = crowd_of(answer, n=2) if members != "alike" else crowd_of(answer, n=3).select([0, 2])
    assert len(crowd.population.groups) == (1 if members == "alike" else 2)
    truth = replace(data, y=np.arange(len(data)) % 2) if answer == "categorical" else data
    for kind in kinds:
        weighted = replace(crowd, weighting=rule_of(kind, crowd, truth))
        save(weighted, tmp_path / kind)
        again = load(tmp_path / kind)
        assert again.weighting == weighted.weighting
        one, other = weighted.predict(data), again.predict(data)
        np.testing.assert_array_equal(one.mean, other.mean)
        np.testing.assert_array_equal(one.std, other.std)


UNSAVED = {
    "a function": (lambda x, timespans: [0, 1], "weighting 'selector' is a function"),
    "a forest": (Stacking(RandomForestRegressor(3)), "RandomForestRegressor cannot be saved"),
}


@pytest.mark.parametrize("what", UNSAVED)
def test_what_cannot_be_saved_is_refused(registered, crowd_of, tmp_path, what):
    given, message = UNSAVED[what]
    crowd = replace(crowd_of(n=2), weighting=given)
    with pytest.raises(ValueError, match=message):
        save(crowd, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


REFUSED = {
    "one weight too many": ({"kind": "fixed", "weights": [1, 2, 3]}, "3 weights, but there are 2"),
    "a negative weight": ({"kind": "fixed", "weights": [1, -1]}, "at least 0 and not all 0"),
    "weights of no sum": ({"kind": "fixed", "weights": [0, 0]}, "at least 0 and not all 0"),
    "votes on numbers": ("hard_vote", "real numbers, which cannot be pooled by 'vote'"),
    "points' confidence": ("confidence", "needs members that say how sure they are"),
    "nothing learned": ("stacking", "no validation losses yet"),
    "no elapsed time": ({"kind": "pair"}, "give `timespans`"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_weights_are_refused(what):
    given, message = REFUSED[what]
    with pytest.raises(ValueError, match=message):
        Collective.of([lambda x, t: x, lambda x, t: x + 1.0], given).predict(np.ones((2, 1)))


def test_a_member_that_says_nan_is_refused_by_number():
    crowd = Collective.of([lambda x, t: x, lambda x, t: x * np.nan])
    with pytest.raises(
        ValueError, match=r"members 1 \(seed 1\) predict values that are not finite"
    ):
        crowd.predict(np.ones((2, 1)))
    assert crowd.select([0]).predict(np.ones((2, 1))).mean.tolist() == [[1.0], [1.0]]
