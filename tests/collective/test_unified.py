"""The unified collective: what it is equal to, to the last bit, and that it learns as one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import shoal
from shoal.collective import Collective, UnifiedCollective, VotingLayer, make_members
from shoal.collective.unified import united
from shoal.equations.combine import softmax
from shoal.equations.outputs import Categorical, Normal
from shoal.weighting import Uniform, moments_of

N = 5
X = jax.random.normal(jax.random.key(9), (6, 4))
KINDS = ("points", "normal", "classes")
WEIGHTINGS = ("uniform", "learned", "confidence", "attention")


class Linear(eqx.Module):
    map: eqx.nn.Linear
    kind: str = eqx.field(static=True)

    def __init__(self, key, kind="points"):
        self.map, self.kind = eqx.nn.Linear(4, 3, key=key), kind

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        said = jax.vmap(self.map)(x)
        if self.kind == "normal":
            return Normal(said, jnp.exp(said))
        return Categorical(said) if self.kind == "classes" else said


class Scores(eqx.Module):
    """A router that always says the same."""

    values: jax.Array

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return jnp.broadcast_to(self.values, (len(x), len(self.values)))


@pytest.fixture(scope="module")
def crowds():
    return {kind: make_members(lambda k, kind=kind: Linear(k, kind), N, key=0) for kind in KINDS}


def layer(crowd, weighting="uniform", **options):
    if weighting == "attention" and "router" not in options:
        options = {"in_size": 4, "key": 1, **options}
    return UnifiedCollective(crowd, weighting, **options)


def bits(a, b):
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("kind", KINDS)
def test_a_uniform_router_is_the_averaging_collective(crowds, kind):
    average = moments_of(Uniform(), crowds[kind](X))
    uniform = layer(crowds[kind]).ask(X)
    bits(uniform.moments, average)
    for weighting in ("learned", "attention"):  # which begin with equal weights
        bits(layer(crowds[kind], weighting).ask(X).moments, average)
    p = Collective(crowds[kind]).predict(np.asarray(X))
    found = united(p.outputs, p.weights)
    bits(found.moments, (p.mean, p.aleatoric, p.epistemic))
    np.testing.assert_allclose(uniform.moments.mean, p.mean, rtol=1e-5, atol=1e-6)


def test_a_softmax_of_nothing_is_the_uniform_weight_for_any_number_of_members():
    for n in range(1, 65):
        bits(softmax(np, np.zeros(n, np.float32)), Uniform().weights(n).astype(np.float32))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chosen", [0, 3])
def test_a_one_hot_router_is_the_selection_of_that_member(crowds, kind, chosen):
    scores = jnp.full(N, -jnp.inf).at[chosen].set(0.0)
    found = layer(crowds[kind], "attention", router=Scores(scores)).ask(X)
    alone = jax.tree.map(lambda a: a[chosen], found.answers)
    if kind == "classes":
        bits(found.moments.mean, jax.nn.softmax(alone.logits))
    else:
        bits(found.answer, alone)
    assert float(found.entropy) == 0
    bits(found.shares, jnp.zeros(N).at[chosen].set(1.0))


@pytest.mark.parametrize("kind", ["normal", "classes"])
def test_confidence_is_the_confidence_vote(crowds, kind):
    found = layer(crowds[kind], "confidence").ask(X)
    voted = VotingLayer(crowds[kind], "confidence").ask(X)
    bits(found.answer, voted.answer)
    bits(found.weights, voted.weights)
    same = jax.tree.map(lambda a: jnp.stack([a[0]] * N), found.answers)  # equally confident
    soft = VotingLayer(method="soft").vote(same)
    equal = VotingLayer(method="confidence").vote(same)
    bits(united(same, equal.weights).answer, soft.answer)


@pytest.mark.parametrize("kind", ["points", "classes"])
def test_a_softmax_router_is_attention_over_experts(crowds, kind):
    module = layer(crowds[kind], "attention", width=8)
    keys = jax.random.normal(jax.random.key(3), (N, 8))
    module = eqx.tree_at(lambda m: m.router.keys, module, keys)
    found, query = module.ask(X), module.router.query(X)
    said = found.answers
    values = jax.nn.softmax(said.logits) if kind == "classes" else said
    expected = jax.nn.dot_product_attention(
        query[:, None, None],
        jnp.broadcast_to(keys[None, :, None], (len(X), N, 1, 8)),
        jnp.pad(values, ((0, 0), (0, 0), (0, 5))).swapaxes(0, 1)[:, :, None],
    )[:, 0, 0, :3]
    np.testing.assert_allclose(found.moments.mean, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_it_compiles_maps_and_differentiates(crowds, weighting):
    crowd = crowds["normal" if weighting == "confidence" else "points"]
    module = layer(crowd, weighting)
    found = module(X)

    @eqx.filter_jit
    def both(module, x):
        def loss(module, x):
            return sum(jnp.sum(part**2) for part in jax.tree.leaves(module(x)))

        mapped = jax.vmap(lambda row: module(row[None]))(x)
        return module(x), mapped, eqx.filter_grad(loss)(module, x)

    compiled, mapped, gradients = both(module, X)
    for one, other, alone in zip(*map(jax.tree.leaves, (found, compiled, mapped)), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(alone[:, 0], one, rtol=1e-5, atol=1e-6)
    leaves = jax.tree.leaves(eqx.filter(gradients, eqx.is_inexact_array))
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    assert np.abs(gradients.members.groups[0].members.map.weight).sum((1, 2)).min() > 0
    if weighting == "learned":
        assert np.abs(gradients.logits).max() > 0
    if weighting == "attention":
        assert np.abs(gradients.router.keys).max() > 0


def test_specialists_and_router_learn_together_as_a_member():
    """Two lines, one for each sign of the last feature: one line cannot be both."""

    class Line(eqx.Module):
        w: jax.Array

        def __init__(self, key):
            self.w = jax.random.normal(key, (4, 1))

        def __call__(self, x, timespans=None, *, mask=None, key=None):
            return x @ self.w

    def make(key, weighting):
        own, other = jax.random.split(key)
        options = {"in_size": 4, "key": other, "balance": 0.01} if weighting == "attention" else {}
        return UnifiedCollective(make_members(Line, 2, own), weighting, **options)

    x = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    y = np.where(x[:, 3:] > 0, x[:, :1], -x[:, :1])
    losses = {}
    for weighting in ("uniform", "attention"):
        start = shoal.Population.init(lambda key, w=weighting: make(key, w), 2)
        fitted = shoal.fit(
            start, (x, y), epochs=80, batch_size=50, learning_rate=5e-2, stopping=None
        )
        losses[weighting] = max(one["best_loss"] for one in fitted.status)
        told = fitted.history.columns()
        assert (told["total_loss"] >= told["train_loss"]).all()
    assert losses["attention"] < 0.5 * losses["uniform"]
    opinion = fitted.population.member(0).ask(x)
    assert float(opinion.shares.min()) > 0.2
    assert float(opinion.entropy) < 0.95


def test_what_cannot_be_is_refused(crowds):
    with pytest.raises(ValueError, match="must be one of uniform, learned, confidence, attention"):
        UnifiedCollective(crowds["points"], "hard")
    with pytest.raises(ValueError, match="attention needs `in_size` and `key`, or a `router`"):
        UnifiedCollective(crowds["points"], "attention")
    with pytest.raises(ValueError, match="a `router` is for weighting 'attention'"):
        UnifiedCollective(crowds["points"], "learned", router=Scores(jnp.zeros(N)))
    with pytest.raises(ValueError, match="confidence voting needs members that know"):
        layer(crowds["points"], "confidence")(X)
    with pytest.raises(ValueError, match=r"must answer \(batch, specialists\) = \(6, 5\)"):
        layer(crowds["points"], "attention", router=Scores(jnp.zeros(3)))(X)
    with pytest.raises(ValueError, match="`balance` must be at least 0"):
        layer(crowds["points"], balance=-1.0)
