"""The voting layer: members in, one answer out; under jit, vmap, grad and training."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

import shoal
from shoal.collective import VotingLayer, make_members
from shoal.collective.voting_rules import Rules, vote
from shoal.equations.outputs import Categorical, Normal

METHODS = ("soft", "hard", "confidence")
X = jax.random.normal(jax.random.key(9), (6, 4))


class Linear(eqx.Module):
    """A member of one linear map."""

    map: eqx.nn.Linear
    kind: str = eqx.field(static=True)

    def __init__(self, key, kind="classes", outputs=3):
        self.map, self.kind = eqx.nn.Linear(4, outputs, key=key), kind

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        said = jax.vmap(self.map)(x)
        if self.kind == "normal":
            return Normal(said, jnp.exp(said))
        return Categorical(said) if self.kind == "classes" else said


def crowd(kind="classes", n=5):
    return make_members(lambda key: Linear(key, kind), n, key=0)


@pytest.mark.parametrize("method", METHODS)
def test_the_layer_is_a_member(method):
    layer = VotingLayer(crowd(), method)
    found = layer(X)
    assert isinstance(found, Categorical)
    assert found.logits.shape == (6, 3)
    assert jnp.isfinite(found.logits).all()
    np.testing.assert_allclose(jax.nn.softmax(found.logits).sum(-1), 1, rtol=1e-6)
    compiled = eqx.filter_jit(lambda layer, x: layer(x))(layer, X)
    np.testing.assert_allclose(compiled.logits, found.logits, rtol=1e-5, atol=1e-6)
    mapped = jax.jit(jax.vmap(lambda x: layer(x[None]).logits[0]))(X)
    np.testing.assert_allclose(mapped, found.logits, rtol=1e-5, atol=1e-6)


def test_equal_confidences_are_the_soft_vote_compiled_too():
    answers = crowd()(X)
    ask = eqx.filter_jit(vote)
    soft = ask(answers, Rules("soft"))
    for confidences in (np.full(5, 0.37), np.full((5, 6), 3.0)):
        same = ask(answers, Rules("confidence"), jnp.asarray(confidences, jnp.float32))
        np.testing.assert_array_equal(same.probabilities, soft.probabilities)
        np.testing.assert_array_equal(same.answer.logits, soft.answer.logits)


def test_probabilities_are_averaged_and_logits_only_when_asked():
    logits = crowd()(X).logits
    p = np.asarray(jax.nn.softmax(logits), float)
    soft = VotingLayer().vote(Categorical(logits)).probabilities
    np.testing.assert_allclose(soft, p.mean(0), rtol=1e-5)
    pooled = VotingLayer(pool="logits").vote(Categorical(logits)).probabilities
    np.testing.assert_allclose(pooled, jax.nn.softmax(logits.mean(0)), rtol=1e-5)
    assert np.abs(np.asarray(pooled - soft)).max() > 1e-3


def test_plain_arrays_mean_what_is_said():
    logits = crowd()(X).logits
    wanted = VotingLayer().vote(Categorical(logits)).probabilities
    said = VotingLayer(arrays="logits").vote(logits).probabilities
    np.testing.assert_array_equal(said, wanted)
    shown = VotingLayer(arrays="probabilities").vote(jax.nn.softmax(logits)).probabilities
    np.testing.assert_array_equal(shown, wanted)
    np.testing.assert_allclose(VotingLayer().vote(logits).answer, logits.mean(0), rtol=1e-6)


@pytest.mark.parametrize(("method", "ties"), [("soft", "probability"), ("hard", "lowest")])
def test_scikit_learn_votes_alike(method, ties):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = (x[:, 0] + rng.normal(size=200) > 0).astype(int) + (x[:, 1] > 1)
    named = [("a", LogisticRegression()), ("b", GaussianNB()), ("c", DecisionTreeClassifier())]
    theirs = VotingClassifier(named, voting=method).fit(x, y)
    p = np.stack([member.predict_proba(x) for member in theirs.estimators_])
    found = VotingLayer(method=method, ties=ties, arrays="probabilities").vote(p)
    np.testing.assert_array_equal(found.probabilities.argmax(-1), theirs.predict(x))
    if method == "soft":
        np.testing.assert_allclose(found.probabilities, theirs.predict_proba(x), rtol=1e-5)


def test_normal_members_vote_by_precision():
    answers = Normal(jnp.array([[1.0], [4.0]]), jnp.array([[1.0], [2.0]]))
    soft = vote(answers).answer
    assert (float(soft.mean[0]), float(soft.std[0] ** 2)) == pytest.approx((2.5, 2.5 + 2.25))
    found = vote(answers, Rules("confidence"))
    assert found.weights[:, 0].tolist() == pytest.approx([0.8, 0.2])
    assert float(found.answer.mean[0]) == pytest.approx(1.6)
    equal = Normal(answers.mean, jnp.full((2, 1), 0.3))
    np.testing.assert_array_equal(
        vote(equal, Rules("confidence")).answer.mean, vote(equal).answer.mean
    )


@pytest.mark.parametrize("kind", ["points", "normal"])
def test_hard_voting_on_numbers_is_refused(kind):
    with pytest.raises(ValueError, match=r"hard voting needs classes, .* numbers \(regression\)"):
        VotingLayer(crowd(kind), "hard")(X)


@pytest.mark.parametrize("method", METHODS)
def test_members_learn_through_the_vote(method):
    """A right answer is found by gradient, also through decisions that have no slope."""
    x = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    y = (x[:, 0] > x[:, 1]).astype(np.int32)

    def make(key):
        return VotingLayer(make_members(lambda k: Linear(k, outputs=2), 3, key), method)

    start = shoal.Population.init(make, n_models=1)
    options = {"epochs": 15, "learning_rate": 3e-2, "batch_size": 50, "stopping": None}
    trained = shoal.fit(start, (x, y), **options).population
    right = [float((p(x).logits[0].argmax(-1) == y).mean()) for p in (start, trained)]
    assert right[0] < 0.9 < 0.95 < right[1]


def test_populations_of_layers_have_members_of_their_own():
    made = shoal.Population.init(lambda key: VotingLayer(make_members(Linear, 2, key)), 3)
    weights = made.groups[0].members.members.groups[0].members.map.weight
    assert weights.shape == (3, 2, 3, 4)
    assert len(np.unique(np.asarray(weights).reshape(6, -1), axis=0)) == 6


def test_a_bundle_holds_layers_with_their_members(tmp_path):
    def make(key):
        return VotingLayer(make_members(Linear, 2, key))

    crowd = shoal.Collective(shoal.Population.init(make, 2))
    shoal.save(crowd, tmp_path / "bundle")
    again = shoal.load(tmp_path / "bundle", make=make)
    wanted, found = (c.predict(np.asarray(X)).probabilities for c in (crowd, again))
    np.testing.assert_array_equal(found, wanted)


def test_members_of_unlike_structure_vote_also_while_traced():
    def make(key):
        a, b = jax.random.split(key)
        wide = eqx.nn.MLP(4, 3, 8, 1, key=a)
        both = [Linear(b), eqx.tree_at(lambda m: m.map, Linear(b), wide)]
        return VotingLayer(both)

    traced = shoal.Population.init(make, 1)[0]
    np.testing.assert_allclose(
        traced(X).logits, make(jax.random.key(42))(X).logits, rtol=1e-5, atol=1e-6
    )


def test_what_cannot_be_is_refused():
    answers = crowd()(X)
    with pytest.raises(ValueError, match="`method` must be one of soft, hard, confidence; got 'l"):
        VotingLayer(method="loud")  # pyright: ignore
    with pytest.raises(ValueError, match="has no members to ask"):
        VotingLayer()(X)
    with pytest.raises(ValueError, match="a hard vote counts votes"):
        VotingLayer(method="hard", pool="logits")
    with pytest.raises(ValueError, match=r"`confidences` must be \(members,\) = \(5,\) or .*, got"):
        vote(answers, Rules(), np.ones(4))
    for wrong in ([1, 1, -1, 1, 1], [0] * 5, [1, 1, np.nan, 1, 1]):
        with pytest.raises(ValueError, match="finite, at least 0 and not all 0"):
            vote(answers, Rules(), np.array(wrong))
    with pytest.raises(ValueError, match="needs members that know how sure they are"):
        VotingLayer(crowd("points"), "confidence")(X)
    with pytest.raises(ValueError, match="`members` must be a Population or a list of at least"):
        VotingLayer([])
    with pytest.raises(ValueError, match="`n_members` must be at least 1, got 0"):
        make_members(Linear, 0, key=0)
