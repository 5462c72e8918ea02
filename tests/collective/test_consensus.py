"""Consensus: the others without oneself, stopping, agreement, gradients, and learning."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import shoal
from shoal.collective import ConsensusNetwork, make_members
from shoal.collective.consensus_rounds import agreement, discuss, mean_of_others
from shoal.equations.outputs import Categorical, Normal

X = jax.random.normal(jax.random.key(9), (6, 4))


class Linear(eqx.Module):
    """An agent of one linear map."""

    map: eqx.nn.Linear

    def __init__(self, key, outputs=3):
        self.map = eqx.nn.Linear(4, outputs, key=key)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return jax.vmap(self.map)(x)


def network(n=4, **options):
    return ConsensusNetwork(make_members(Linear, n, key=0), 3, 5, (2,), key=1, **options)


@eqx.filter_jit
def talked(made, x):
    return made.discuss(x)


heard = jax.jit(mean_of_others)
agreed = jax.jit(agreement)
finite = st.floats(-1e3, 1e3, width=32)


@given(st.integers(2, 7), st.data())
@settings(max_examples=30, deadline=None)
def test_everybody_hears_the_mean_of_the_others(n, data):
    messages = data.draw(arrays(np.float32, (n, 2, 3), elements=finite))
    found = heard(messages)
    wanted = [np.delete(messages.astype(float), i, 0).mean(0) for i in range(n)]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("own", [1e30, jnp.nan, jnp.inf])
@pytest.mark.parametrize("i", range(4))
def test_oneself_is_excluded_exactly(i, own):
    messages = jax.random.normal(jax.random.key(0), (4, 2, 3))
    changed = np.asarray(heard(messages.at[i].set(own)))
    before = np.asarray(heard(messages))
    np.testing.assert_array_equal(changed[i], before[i])
    assert not np.isclose(changed[(i + 1) % 4], before[(i + 1) % 4]).any()


def test_the_gradient_of_what_one_hears_for_what_one_says_is_zero():
    slope = jax.jit(jax.jacobian(mean_of_others))(jnp.ones((4, 1)))[:, 0, :, 0]
    np.testing.assert_allclose(slope, (1 - np.eye(4)) / 3, rtol=1e-6)
    assert (np.diag(slope) == 0).all()


def test_one_agent_alone_hears_nothing():
    assert mean_of_others(jnp.ones((1, 2, 3))).tolist() == np.zeros((1, 2, 3)).tolist()
    talk = talked(network(1), X)
    assert jnp.isfinite(talk.answer).all()
    np.testing.assert_allclose(talk.agreement, 1.0, rtol=1e-6)


def test_agreement_is_what_is_said():
    same = np.ones((3, 1, 4), np.float32) * np.array([1.0, -2.0, 0.5, 3.0], np.float32)
    assert agreed(same).tolist() == [1.0]
    assert agreed(np.stack([same[0], -same[0]])).tolist() == [0.0]
    assert agreed(np.zeros((3, 2, 4))).tolist() == [1.0, 1.0]
    random = agreed(np.random.default_rng(0).normal(size=(5, 200, 50)))
    assert np.mean(random) == pytest.approx(1 / 5, abs=0.01)


@given(arrays(np.float32, (3, 2, 4), elements=st.floats(-1e3, 1e3, width=32)))
@settings(max_examples=50, deadline=None)
def test_agreement_lies_between_0_and_1(hidden):
    found = np.asarray(agreed(hidden))
    assert ((found >= 0) & (found <= 1)).all()


def test_a_sample_stops_when_it_no_longer_moves_whoever_is_beside_it():
    start = jnp.array([[[8.0], [0.1], [1.0]]])
    last, agreed, taken = discuss(lambda h: h / 2, start, 6, tolerance=0.1)
    assert taken.tolist() == [6, 1, 4]  # moved 4, 2, 1, .5, .25, .125; .05; .5, .25, .125, .0625
    assert last[0, :, 0].tolist() == pytest.approx([8 / 64, 0.05, 1 / 16])
    assert agreed.shape == (7, 3)
    alone, _, _ = discuss(lambda h: h / 2, start[:, 2:], 6, tolerance=0.1)
    np.testing.assert_array_equal(alone[:, 0], last[:, 2])


def test_no_update_runs_once_everybody_is_done():
    calls = []

    def step(hidden):
        jax.debug.callback(lambda: calls.append(1))
        return hidden / 2

    discuss(step, jnp.full((1, 2, 1), 0.1), 6, tolerance=0.1)
    jax.effects_barrier()
    assert len(calls) == 1


def test_the_default_is_five_iterations_and_none_is_the_agents_for_themselves():
    talk = talked(network(tolerance=0), X)
    assert talk.iterations.tolist() == [5] * 6
    assert talk.agreement.shape == (6, 6)
    assert talk.answers.shape == (4, 6, 2)
    np.testing.assert_allclose(talk.answer, talk.answers.mean(0), rtol=1e-5, atol=1e-6)
    silent = talked(network(iterations=0), X)
    assert silent.agreement.shape == (1, 6)
    assert silent.iterations.tolist() == [0] * 6


def test_the_order_of_the_agents_means_nothing():
    one = network()
    other = eqx.tree_at(lambda n: n.agents, one, one.agents.select([2, 0, 3, 1]))
    found, again = (talked(made, X).answer for made in (one, other))
    np.testing.assert_allclose(found, again, rtol=1e-4, atol=1e-6)
    fewer = eqx.tree_at(lambda n: n.agents, one, one.agents.select([0, 1]))
    assert talked(fewer, X).answer.shape == (6, 2)


def test_compiled_mapped_and_bounded():
    made = network()
    found = made.discuss(X)
    compiled = talked(made, X)
    mapped = jax.jit(jax.vmap(lambda x: made.discuss(x[None])))(X)
    np.testing.assert_allclose(compiled.answer, found.answer, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(mapped.answer[:, 0], found.answer, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(mapped.iterations[:, 0], found.iterations)
    assert ((found.agreement >= 0) & (found.agreement <= 1)).all()


@pytest.mark.parametrize("tolerance", [0.0, 0.2])
def test_gradients_by_finite_differences(tolerance):
    with jax.enable_x64(True):
        answers = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2, 3)))
        made = jax.tree.map(
            lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a,
            network(tolerance=tolerance),
        )
        direction = jnp.asarray(np.random.default_rng(1).normal(size=answers.shape))

        @jax.jit
        def score(t, weight):
            moved = eqx.tree_at(lambda n: n.params["message_weight"], made, weight)
            return (moved.settle(answers + t * direction).answer ** 2).sum()

        weight = made.params["message_weight"]
        taken = eqx.filter_jit(lambda made, a: made.settle(a).iterations)(made, answers)
        assert (taken == 5).all() if tolerance == 0 else (taken < 5).any(), taken
        d_t, d_weight = jax.jit(jax.grad(score, (0, 1)))(0.0, weight)
        slope = (score(1e-5, weight) - score(-1e-5, weight)) / 2e-5
        assert float(d_t) == pytest.approx(float(slope), rel=1e-6)
        nudge = jnp.zeros_like(weight).at[1, 2].set(1e-5)
        slope = (score(0.0, weight + nudge) - score(0.0, weight - nudge)) / 2e-5
        assert float(d_weight[1, 2]) == pytest.approx(float(slope), rel=1e-5)


@pytest.mark.parametrize("likelihood", ["point", "normal", "categorical"])
def test_answers_of_every_kind(likelihood):
    kinds = {"point": jax.Array, "normal": Normal, "categorical": Categorical}
    found = talked(network(likelihood=likelihood), X).answer
    assert isinstance(found, kinds[likelihood])
    assert jax.tree.leaves(found)[0].shape == (6, 2)


def test_agents_may_answer_normals_and_classes():
    made = network(2)
    said = jax.random.normal(jax.random.key(0), (2, 6, 3))
    logits = made.settle(Categorical(said)).answer
    np.testing.assert_allclose(made.settle(Categorical(said + 7.0)).answer, logits, atol=1e-5)
    with pytest.raises(ValueError, match=r"`in_size` must be .* one agent's answer, 6 .*; got 3"):
        made.settle(Normal(said, jnp.exp(said)))


def test_consensus_learns_what_averaging_cannot():
    """Each agent sees one number; some are far off. Who they are, only the others can tell."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(-1, 1, (1500, 1))
    wrong = rng.random((1500, 6)) < 0.25
    seen = np.where(wrong, rng.uniform(-1, 1, (1500, 6)), truth).astype(np.float32)
    x, y = seen, truth.astype(np.float32)

    class View(eqx.Module):
        place: shoal.neurons.frozen.Frozen

        def __call__(self, x, timespans=None, *, mask=None, key=None):
            return jnp.take(x, self.place.value, axis=1)[:, None]

    agents = shoal.Population.of([View(shoal.neurons.frozen.Frozen(i)) for i in range(6)])
    start = shoal.Population.init(lambda key: ConsensusNetwork(agents, 1, 16, (1,), key=key), 1)
    train = (x[:1000], y[:1000])
    options = {"epochs": 15, "learning_rate": 1e-2, "batch_size": 50, "stopping": None}
    trained = shoal.fit(start, train, strategy="vmap", **options).population

    def error(found):
        return float(np.sqrt(np.mean((np.asarray(found) - y[1000:]) ** 2)))

    assert error(trained[0](x[1000:])) < 0.7 * error(x[1000:].mean(1, keepdims=True))


def test_what_cannot_be_is_refused():
    agents = make_members(Linear, 2, key=0)
    for wrong in ({"iterations": -1}, {"tolerance": -0.1}, {"message_size": 0}):
        name = next(iter(wrong))
        with pytest.raises(ValueError, match=f"`{name}` must be at least"):
            ConsensusNetwork(agents, 3, 5, key=0, **wrong)
    with pytest.raises(ValueError, match="`hidden_size` must be at least 1, got 0"):
        ConsensusNetwork(agents, 3, 0, key=0)
    with pytest.raises(ValueError, match="`agents` must be a Population or a list"):
        ConsensusNetwork(None, 3, key=0)
    with pytest.raises(ValueError, match=r"in one agent's answer, 3 .*; got 4"):
        ConsensusNetwork(agents, 4, key=0)(X)
