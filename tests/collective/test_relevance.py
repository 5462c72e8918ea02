"""Relevance: contributions add up exactly, the right experts are asked, and the tables say so."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import shoal
from shoal.collective import RelevanceScorer, make_members
from shoal.collective.relevance import top_k_relevance
from shoal.equations.outputs import Categorical, Normal

X = jax.random.normal(jax.random.key(9), (16, 4))
NAMES = ["north", "east", "south", "west", "centre"]


class Linear(eqx.Module):
    """An expert of one linear map."""

    map: eqx.nn.Linear
    kind: str = eqx.field(static=True)

    def __init__(self, key, kind="points"):
        self.map, self.kind = eqx.nn.Linear(4, 3, key=key), kind

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        said = jax.vmap(self.map)(x)
        if self.kind == "normal":
            return Normal(said, jnp.exp(said))
        return Categorical(said) if self.kind == "classes" else said


def scorer(kind="points", top_k=2):
    experts = make_members(lambda key: Linear(key, kind), 5, key=0)
    return RelevanceScorer(experts, 4, top_k=top_k, names=NAMES, key=1)


@pytest.fixture(scope="module", params=["points", "classes", "normal"])
def made(request):
    return scorer(request.param)


@eqx.filter_jit
def score(made, x):
    return made.score(x)


@pytest.mark.parametrize("compiled", [True, False])
def test_contributions_add_up_to_the_output_exactly(made, compiled):
    scored = score(made, X) if compiled else made.score(X)
    total = np.zeros((16, 3), np.float32)
    for part in np.asarray(scored.contributions):
        total = total + part
    np.testing.assert_array_equal(total, scored.output)


def test_k_experts_are_relevant_and_the_others_count_nothing(made):
    scored = score(made, X)
    assert ((scored.relevance > 0).sum(0) == 2).all()
    np.testing.assert_allclose(scored.relevance.sum(0), 1, rtol=1e-6)
    idle = np.asarray(scored.contributions)[np.asarray(scored.relevance) == 0]
    assert idle.size == 3 * 16 * 3
    assert (idle == 0).all()


def test_the_answer_is_the_reference(made):
    """Every expert asked by hand, the best two weighted by hand."""
    scored, said = score(made, X), made.experts(X)
    weight, bias = made.router.head.params["weight"], made.router.head.params["bias"]
    logits = np.asarray(X @ weight.T + bias, float)
    values = jax.nn.softmax(said.logits) if isinstance(said, Categorical) else said
    values = np.asarray(values.mean if isinstance(said, Normal) else values, float)
    for row in range(16):
        best = np.argsort(-logits[row])[:2]
        gates = np.exp(logits[row, best]) / np.exp(logits[row, best]).sum()
        wanted = sum(g * values[i, row] for g, i in zip(gates, best, strict=True))
        np.testing.assert_allclose(scored.output[row], wanted, rtol=1e-4, atol=1e-5)
    if isinstance(said, Categorical):
        np.testing.assert_allclose(scored.output.sum(-1), 1, rtol=1e-5)
    if isinstance(said, Normal):
        mean, w = np.asarray(scored.output), np.asarray(scored.relevance)[..., None]
        second = (w * (said.std**2 + (said.mean - mean) ** 2)).sum(0)
        np.testing.assert_allclose(scored.answer.std, np.sqrt(second), rtol=1e-4)


def test_all_experts_is_attention_and_one_is_selection():
    everybody = score(scorer(top_k=5), X)
    np.testing.assert_allclose(
        everybody.relevance, jax.nn.softmax(everybody.logits, axis=0), rtol=1e-5
    )
    made = scorer(top_k=1)
    one = score(made, X)
    assert set(np.unique(one.relevance)) == {0.0, 1.0}
    best = np.asarray(one.logits).argmax(0)
    np.testing.assert_array_equal(one.output, np.asarray(made.experts(X))[best, np.arange(16)])


def test_ties_go_to_the_lower_number():
    assert top_k_relevance(jnp.zeros((1, 4)), 2).tolist() == [[0.5, 0.5, 0, 0]]
    assert top_k_relevance(jnp.zeros((1, 4)), 1).tolist() == [[1, 0, 0, 0]]


@pytest.mark.parametrize("top_k", [2, 3])
def test_gradients_by_finite_differences(top_k):
    with jax.enable_x64(True):
        logits, values = (np.random.default_rng(i).normal(size=(2, 4)) for i in range(2))

        @jax.jit
        def total(logits):
            return (top_k_relevance(logits, top_k) * values).sum()

        found = jax.jit(jax.grad(total))(jnp.asarray(logits))
        for place in np.ndindex(logits.shape):
            step = np.zeros(logits.shape)
            step[place] = 1e-6
            slope = (total(jnp.asarray(logits + step)) - total(jnp.asarray(logits - step))) / 2e-6
            assert float(found[place]) == pytest.approx(float(slope), abs=1e-8)


def test_one_expert_has_the_gradient_of_the_softmax():
    logits, values = X[:2], jnp.arange(4.0)
    one = jax.jit(jax.grad(lambda a: (top_k_relevance(a, 1) * values).sum()))(logits)
    soft = jax.jit(jax.grad(lambda a: (jax.nn.softmax(a) * values).sum()))(logits)
    np.testing.assert_allclose(one, soft, rtol=1e-6)
    assert (one != 0).all()


def test_a_member_compiled_mapped_and_trained():
    made = scorer("classes")
    mapped = jax.jit(jax.vmap(lambda x: made(x[None]).logits[0]))(X)
    np.testing.assert_allclose(mapped, made(X).logits, rtol=1e-4, atol=1e-5)
    x = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    y = np.where(x[:, 3] > 0, x[:, 0] > 0, x[:, 1] > 0).astype(np.int32)

    def make(key):
        a, b = jax.random.split(key)
        experts = make_members(lambda k: Linear(k, "classes"), 4, a)
        return RelevanceScorer(experts, 4, key=b)

    start = shoal.Population.init(make, 1)
    options = {"epochs": 25, "learning_rate": 3e-2, "batch_size": 50, "stopping": None}
    trained = shoal.fit(start, (x, y), **options).population
    right = float((trained(x).logits[0].argmax(-1) == y).mean())
    assert right > 0.93  # no linear classifier gets above 0.8


def test_explanations_add_up_and_are_sorted():
    made = scorer("classes")
    table, scored = made.explain(X), score(made, X)
    assert list(table.columns) == ["row", "expert", "relevance", "output", "contribution"]
    assert len(table) == 32
    assert set(table["expert"]) <= set(NAMES)
    for row, lines in table.groupby("row"):
        winner = int(scored.output[row].argmax())
        assert (lines["output"] == winner).all()
        assert lines["contribution"].sum() == pytest.approx(float(scored.output[row, winner]))
        assert lines["relevance"].is_monotonic_decreasing
        best = int(scored.relevance[:, row].argmax())
        assert lines["expert"].iloc[0] == NAMES[best]


def test_any_output_can_be_explained():
    made = scorer()
    table = made.explain(X, output=2)
    sums = table.groupby("row")["contribution"].sum()
    np.testing.assert_allclose(sums, score(made, X).output[:, 2], rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="`output` must say which of the 3 numbers"):
        made.explain(X)
    with pytest.raises(ValueError, match="`output` must be from 0 to 2, got 3"):
        made.explain(X, output=3)


def test_the_profile_says_what_each_expert_is_for():
    made = scorer("classes")
    table, scored = made.profile(X), score(made, X)
    assert table["expert"].tolist() == NAMES
    assert table["chosen"].sum() == pytest.approx(2)
    assert table["relevance"].sum() == pytest.approx(1)
    assert table["share"].sum() == pytest.approx(1)
    parts = np.asarray(scored.contributions).sum(1)
    np.testing.assert_array_equal(table["speaks_for"], parts.argmax(1))
    assert "speaks_for" not in scorer().profile(X)


def test_a_router_of_ones_own():
    class Constant(eqx.Module):
        logits: jax.Array

        def __call__(self, x, timespans=None, *, mask=None, key=None):
            return jnp.broadcast_to(self.logits, (len(x), len(self.logits)))

    experts = make_members(Linear, 3, key=0)
    sure = RelevanceScorer(experts, router=Constant(jnp.array([0.0, 200.0, 0.0])))
    np.testing.assert_array_equal(sure(X), experts(X)[1])
    wrong = RelevanceScorer(experts, router=Constant(jnp.zeros(4)))
    with pytest.raises(ValueError, match=r"`router` must answer .* = \(16, 3\), got \(16, 4\)"):
        wrong(X)


def test_what_cannot_be_is_refused():
    experts = make_members(Linear, 3, key=0)
    for k in (0, 4):
        with pytest.raises(ValueError, match="from 1 to the number of experts, 3; got"):
            RelevanceScorer(experts, 4, top_k=k, key=0)
    for names in (["a", "b"], ["a", "b", "a"]):
        with pytest.raises(ValueError, match="`names` must be 3 different names"):
            RelevanceScorer(experts, 4, names=names, key=0)
    with pytest.raises(ValueError, match="give `in_size` and `key`"):
        RelevanceScorer(experts)
    with pytest.raises(ValueError, match="`in_size` must be the numbers in one row of x, 4"):
        RelevanceScorer(experts, 5, key=0)(X)
