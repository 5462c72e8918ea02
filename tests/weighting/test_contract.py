"""What every rule of the registry must do."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import shoal.weighting as weighting
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.pooling import CLASSES, POINTS
from shoal.weighting import RULES, Evidence, combined, describe, pool_of, resolve

N, ROWS = 4, 12
EXAMPLES = {
    "fixed": {"weights": [1, 0, 2, 1]},
    "inverse_loss": {"power": 2.0},
    "softmax_loss": {"temperature": 0.5},
    "pooled": {"weights": [1, 0, 2, 1], "pool": "median"},
    "time_table": {"edges": [1.0, 4.0]},
    "local": {"neighbours": 3},
    "stacking": {"meta": "non_negative"},
}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 3, 2))
TIMESPANS = RNG.exponential(2.0, (ROWS, 3))
MASK = np.arange(3) < RNG.integers(1, 4, (ROWS, 1))
Y, CLASS = RNG.normal(size=(ROWS, 2)), RNG.integers(0, 3, ROWS)
POINT = Y + RNG.normal(size=(N, ROWS, 2)) * np.array([0.3, 0.5, 1.0, 2.0])[:, None, None]
ANSWERS = {
    "points": (POINT, Y),
    "normal": (Normal(POINT, RNG.uniform(0.5, 2.0, POINT.shape)), Y),
    "classes": (Categorical(RNG.normal(size=(N, ROWS, 3)) + np.eye(3)[CLASS]), CLASS),
}
LOSSES = np.array([1.0, 0.5, np.nan, 2.0])
ASKED = SimpleNamespace(x=X, timespans=TIMESPANS, mask=MASK)


def members(answers, count):
    if isinstance(answers, tuple):
        return type(answers)(*(part[:count] for part in answers))
    return answers[:count]


def example(kind):
    return resolve({"kind": kind, **EXAMPLES.get(kind, {})})


def count_of(kind):
    """How many members a rule is asked with: what it is for, where it is not for any number."""
    return getattr(example(kind), "members", N)


def evidence(kind, what):
    count = count_of(kind)
    answers, y = ANSWERS[what]
    given = {"x": X, "timespans": TIMESPANS, "mask": MASK}
    return Evidence(LOSSES[:count], members(answers, count), y, **given)


def makes_sense(kind, what):
    if kind == "confidence":
        return what != "points"
    pool = pool_of(example(kind).fit(evidence(kind, what))).kind
    return pool in (CLASSES if what == "classes" else POINTS)


CASES = [(kind, what) for kind in sorted(RULES) for what in ANSWERS]


@pytest.fixture(params=[case for case in CASES if makes_sense(*case)], ids="-".join)
def case(request):
    kind, what = request.param
    rule = example(kind).fit(evidence(kind, what))
    return rule, members(ANSWERS[what][0], count_of(kind))


@pytest.fixture(params=sorted(RULES))
def fitted(request):
    what = next(w for w in ("points", "normal", "classes") if makes_sense(request.param, w))
    return example(request.param).fit(evidence(request.param, what))


def weights_of(rule, answers):
    first = answers[0] if isinstance(answers, tuple) else answers
    return rule.weights(len(first), X, TIMESPANS, MASK, answers)


def test_every_rule_has_its_file_and_every_file_its_rule():
    files = {p.stem for p in Path(weighting.__file__).parent.glob("*.py")}
    around = {"__init__", "registry", "evidence", "apply", "meta"}
    assert files - around == set(RULES) | {"selector"}  # which nothing but Python can give


def test_weights_are_normalised(case):
    rule, answers = case
    w = weights_of(rule, answers)
    assert w.ndim in (1, 2)
    assert w.shape[1:] in ((), (ROWS,))
    if pool_of(rule).kind not in ("linear", "sum"):
        assert (w >= 0).all()
        np.testing.assert_allclose(w.sum(0), 1.0)


def test_the_crowd_answers_like_a_member(case):
    rule, answers = case
    p = combined(rule, answers, ASKED)
    assert p.mean.shape == p.members.shape[1:]
    assert np.isfinite(p.mean).all()
    assert np.isfinite(p.std).all()
    np.testing.assert_allclose(p.total, p.aleatoric + p.epistemic)


def test_each_row_is_answered_by_itself(case):
    rule, answers = case
    if getattr(rule, "per_batch", False):
        return
    whole = combined(rule, answers, ASKED).mean
    part = SimpleNamespace(x=X[3:5], timespans=TIMESPANS[3:5], mask=MASK[3:5])
    some = (
        type(answers)(*(a[:, 3:5] for a in answers))
        if isinstance(answers, tuple)
        else answers[:, 3:5]
    )
    np.testing.assert_allclose(combined(rule, some, part).mean, whole[3:5])


def test_json_round_trip(case):
    rule, answers = case
    again = resolve(json.loads(json.dumps(describe(rule), allow_nan=False)))
    assert again == rule
    np.testing.assert_array_equal(weights_of(again, answers), weights_of(rule, answers))


def test_some_of_the_members_keep_their_ratio(case):
    rule, answers = case
    if rule.kind in ("pair", "stacking", "confidence", "local"):
        return  # these weigh the members that are left anew, or refuse
    kept = [0, 3] if rule.kind != "pruned" else [i for i, k in enumerate(rule.kept) if k][:1]
    w = weights_of(rule, answers)[kept]
    found = rule.select(kept).weights(len(kept), X, TIMESPANS, MASK)
    np.testing.assert_allclose(found, w / w.sum(0))


def test_rules_are_immutable_and_fit_returns_a_new_one(fitted):
    with pytest.raises(AttributeError):
        fitted.kind_of_thing = 1
    before = example(fitted.kind)
    before.fit(evidence(fitted.kind, "normal"))
    assert before == example(fitted.kind)


@pytest.mark.parametrize(("kind", "what"), [case for case in CASES if not makes_sense(*case)])
def test_what_makes_no_sense_is_refused_with_the_reason(kind, what):
    answers, _ = ANSWERS[what]
    rule = example(kind).fit(evidence(kind, what))
    with pytest.raises(ValueError, match=r"cannot be pooled|how sure they are|parts of a sum"):
        combined(rule, members(answers, count_of(kind)), ASKED)


@pytest.mark.parametrize("kind", sorted(RULES))
def test_a_rule_learns_from_what_it_says(kind):
    rule = example(kind)
    losses = Evidence(np.where(np.isfinite(LOSSES), LOSSES, 1.0)[: count_of(kind)])
    if rule.learns == "predictions":
        with pytest.raises(ValueError, match=f"'{kind}' learns from predictions"):
            rule.fit(losses)
        return
    assert rule.learns in ("nothing", "losses")
    assert (rule.fit(losses) == rule) == (rule.learns == "nothing")


@pytest.mark.parametrize("kind", sorted(RULES))
def test_a_rule_that_has_learned_nothing_can_be_told_who_is_left(kind):
    rule = example(kind)
    left = rule.select(range(1, count_of(kind)))
    assert left.learns == rule.learns or not hasattr(left, "members")
    if rule.learns != "nothing":
        assert left == rule


@pytest.mark.parametrize("kind", sorted(k for k in RULES if example(k).learns == "predictions"))
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": Y[:-1]}, "`y` must be"),
        ({"losses": LOSSES[:-1]}, "`losses` must have one number for each of 4 members"),
        ({"x": X[:-1]}, "`x` must have the 12 rows"),
        ({"timespans": TIMESPANS[:-1]}, "`timespans` must have the 12 rows"),
    ],
    ids=["y", "losses", "x", "timespans"],
)
def test_evidence_that_does_not_fit_together_is_refused(kind, changed, message):
    with pytest.raises(ValueError, match=f"'{kind}': {message}"):
        example(kind).fit(evidence(kind, "points")._replace(**changed))


def test_evidence_with_nan_names_the_member(fitted):
    if example(fitted.kind).learns != "predictions":
        return
    spoiled = POINT.copy()
    spoiled[1, 2] = np.nan
    with pytest.raises(ValueError, match="members 1 predict NaN"):
        example(fitted.kind).fit(evidence(fitted.kind, "points")._replace(predictions=spoiled))
