"""Routers, capacity, losses and statistics, sentence by sentence."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from shoal.collective.moe import BiasBalanced, ExpertChoice, NoisyTopK, TopK
from shoal.collective.moe.capacity import capacity, within
from shoal.collective.moe.load import smooth_load
from shoal.collective.moe.losses import load_balance, losses_of, squared_variation, z_loss
from shoal.collective.moe.routers import ROUTERS
from shoal.collective.moe.statistics import statistics_of

T, D, E = 40, 6, 4
X = jax.random.normal(jax.random.key(0), (T, D))
KEY = jax.random.key(1)


@eqx.filter_jit
def ask(router, x=X, state=None, mask=None, key=None):
    """What a router decides, compiled."""
    return router(x, state, mask, key)


@eqx.filter_jit
def told(routed, mask=None):
    """All that is said of a routing, compiled."""
    numbers = losses_of(routed, mask), statistics_of(routed, routed, mask)
    return routed.gates(), routed.counts(), numbers


def router(name, top_k=2, scale=10.0):
    """A router with clear preferences."""
    made = ROUTERS[name](D, E, top_k, key=2)
    return eqx.tree_at(lambda r: r.weight, made, made.weight * scale)


def dense(logits, k):
    """Gates as a table: softmax over the k greatest, over all for k = 1."""
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    order = np.argsort(-logits, -1)[:, :k]
    gates = np.zeros_like(p)
    np.put_along_axis(gates, order, np.take_along_axis(p, order, -1), -1)
    return gates if k == 1 else gates / gates.sum(-1, keepdims=True)


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("name", ["top_k", "noisy_top_k"])
def test_gates_are_renormalised_from_two_on(name, k):
    made = router(name, k)
    gates = ask(made).gates()
    logits = np.asarray(X) @ np.asarray(made.weight).T
    np.testing.assert_allclose(gates, dense(logits, k), atol=1e-5)


@pytest.mark.parametrize("name", ["top_k", "noisy_top_k", "bias_balanced"])
def test_a_single_choice_teaches_the_router(name):
    @eqx.filter_jit
    @jax.grad
    def gradient(weight, made):
        return jnp.sum(eqx.tree_at(lambda r: r.weight, made, weight)(X, None, None, None).weights)

    made = router(name, 1)
    assert jnp.abs(gradient(made.weight, made)).max() > 1e-3


def test_noise_needs_a_key_and_has_its_size_at_the_start():
    made = NoisyTopK(D, E, E, noise_std=3.0, key=0)
    quiet, again = ask(made), ask(made)
    np.testing.assert_array_equal(quiet.weights, again.weights)
    many = jnp.tile(X[:1], (20000, 1))
    gates = ask(made, many, key=KEY).gates()  # all experts are chosen: gates hold the noisy logits
    noise = jnp.log(gates) - jnp.log(ask(made, many).gates())
    differences = noise[:, 0] - noise[:, 1]
    assert jnp.std(differences) == pytest.approx(3.0 * 2**0.5, rel=0.03)


def test_without_noise_the_key_changes_nothing():
    made = NoisyTopK(D, E, 2, noise_std=0.0, key=0)
    np.testing.assert_array_equal(ask(made).weights, ask(made, key=KEY).weights)


def test_jitter_multiplies_the_input():
    made = TopK(D, E, 2, jitter=0.01, key=0)
    quiet, noisy = ask(made).logits, ask(made, key=KEY).logits
    bound = 0.01 * jnp.abs(X) @ jnp.abs(made.weight).T
    assert ((jnp.abs(noisy - quiet) <= bound + 1e-6) & (noisy != quiet)).all()


@pytest.mark.parametrize("name", ROUTERS)
def test_routers_compute_in_single_precision_throughout(name):
    made = router(name)
    routed = ask(made, X.astype(jnp.bfloat16))
    assert made.weight.dtype == jnp.float32
    assert {routed.weights.dtype, routed.logits.dtype, routed.probabilities.dtype} == {
        jnp.dtype("float32")
    }
    exact = np.asarray(X.astype(jnp.bfloat16), np.float32) @ np.asarray(made.weight).T
    np.testing.assert_allclose(routed.logits, exact, atol=1e-5)
    np.testing.assert_allclose(np.sum(routed.probabilities, -1), 1.0, atol=1e-6)


def test_smooth_load_is_the_chance_under_an_experts_own_noise():
    rng = np.random.default_rng(0)
    clean, std = rng.normal(size=E), rng.uniform(0.5, 1.5, E)
    noisy = clean + std * rng.normal(size=E)
    found = smooth_load(*(jnp.asarray(a, "f4")[None] for a in (clean, noisy, std)), 2)[0]
    for i in range(E):
        drawn = np.tile(noisy, (40000, 1))
        drawn[:, i] = clean[i] + std[i] * rng.normal(size=40000)
        chosen = (np.argsort(-drawn, -1)[:, :2] == i).any(-1)
        assert float(found[i]) == pytest.approx(chosen.mean(), abs=0.01)


def test_load_has_a_gradient():
    made = router("noisy_top_k", scale=1.0)

    @jax.jit
    @jax.grad
    def gradient(weight):
        changed = eqx.tree_at(lambda r: r.weight, made, weight)
        return losses_of(changed(X, None, None, KEY))["load"]

    assert jnp.abs(gradient(made.weight)).max() > 1e-4


def test_variation_is_smooth_where_a_standard_deviation_is_not():
    equal = jnp.ones(4)
    assert (jax.jit(jax.grad(squared_variation))(equal) == 0).all()
    assert jnp.isnan(jax.jit(jax.grad(lambda v: jnp.std(v) / jnp.mean(v)))(equal)).all()
    values = np.array([1.0, 2.0, 6.0])
    wanted = values.var() / values.mean() ** 2
    assert squared_variation(jnp.asarray(values)) == pytest.approx(wanted, rel=1e-6)


def test_load_balance_is_one_at_uniform_but_that_is_no_lower_bound():
    uniform = jnp.full((8, E), 1 / E)
    assert load_balance(uniform, jnp.full(E, 4)) == pytest.approx(1.0)
    assert load_balance(jnp.eye(E)[jnp.zeros(8, int)], jnp.array([8, 0, 0, 0])) == E
    p = jnp.array([[0.51, 0.49]] * 3 + [[0.0, 1.0]])
    assert load_balance(p, jnp.array([3, 1])) < 0.9


def test_hugging_faces_balance_is_k_times_ours():
    """Their `load_balancing_loss_func`, of one layer: Σ over choices of mean(one-hot)·mean(p)·E."""
    routed = ask(router("top_k"))
    p = torch.from_numpy(np.array(routed.probabilities))
    hot = torch.nn.functional.one_hot(torch.topk(p, 2).indices, E).float()
    theirs = E * torch.sum(hot.mean(0) * p.mean(0)[None])
    assert losses_of(routed)["load_balance"] == pytest.approx(theirs.item() / 2, rel=1e-5)


def test_pooling_over_layers_would_hide_a_collapse():
    collapsed = [jnp.eye(2)[jnp.full(8, e)] for e in (0, 1)]
    counts = [jnp.array([8, 0]), jnp.array([0, 8])]
    each = [load_balance(p, c) for p, c in zip(collapsed, counts, strict=True)]
    assert each == [2.0, 2.0]
    assert load_balance(jnp.concatenate(collapsed), counts[0] + counts[1]) == 1.0


def test_z_is_the_mean_squared_logsumexp():
    logits = np.random.default_rng(0).normal(size=(5, 3))
    wanted = np.mean(np.log(np.exp(logits).sum(-1)) ** 2)
    assert z_loss(jnp.asarray(logits)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("name", ROUTERS)
def test_padding_counts_nowhere(name):
    made = router(name)
    mask = jnp.arange(T) < 25
    padded, counts, first = told(ask(made, mask=mask), mask)
    alone, alone_counts, second = told(ask(made, X[:25]))
    padded = np.asarray(padded)
    np.testing.assert_allclose(padded[:25], alone, atol=1e-6)
    assert (padded[25:] == 0).all()
    np.testing.assert_array_equal(counts, alone_counts)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ROUTERS)
def test_nothing_but_padding_is_finite(name):
    mask = jnp.zeros(T, bool)
    *_, numbers = told(ask(router(name), mask=mask), mask)
    assert all(np.isfinite(n).all() for n in jax.tree.leaves(numbers))


def test_capacity_is_exact_and_counts_the_choices():
    assert capacity(100, 8, 2, 1.25) == 32  # ceil(31.25); without the k it would be 16
    assert capacity(10, 2, 2, 1.1) == 11
    assert capacity(4096, 8, 1, 1.0) == 512
    assert capacity(3, 8, 1, 1e-9) == 1
    tokens = jnp.arange(1, 5000, 37)
    exact = [capacity(n, 6, 3, 1.3) for n in tokens.tolist()]
    np.testing.assert_array_equal(capacity(tokens, 6, 3, 1.3), exact)
    np.testing.assert_array_equal(exact, np.ceil(np.round(1.3 * 3 * np.array(tokens) / 6, 9)))


def test_room_goes_to_first_choices_and_earlier_tokens():
    experts = jnp.array([[0, 1], [1, 0], [0, 1], [2, 0]])  # 2 of 2 is nobody
    kept = within(experts, 2, 2)
    assert kept.tolist() == [[True, True], [True, False], [True, False], [False, False]]


def test_every_expert_takes_its_best_tokens():
    routed = ask(router("expert_choice"))
    p, size = np.array(routed.probabilities), 2 * T // E
    assert (routed.counts() == size).all()
    for e, tokens in enumerate(np.array(routed.tokens)):
        assert set(tokens) == set(np.argsort(-p[:, e])[:size])
    gates = np.array(routed.gates())
    np.testing.assert_allclose(gates[gates > 0], p[gates > 0])
    assert losses_of(routed)["importance"] >= 0


def test_expert_choice_leaks_the_future_and_top_k_does_not():
    later = X.at[-1].multiply(-5.0)
    for name, leaks in (("expert_choice", True), ("top_k", False)):
        made = router(name)
        same = np.allclose(ask(made).gates()[:-1], ask(made, later).gates()[:-1])
        assert same is not leaks


def test_biases_choose_but_never_weigh():
    made = router("bias_balanced", scale=1.0)
    bias = jnp.array([5.0, 0.0, 5.0, 0.0])
    routed = ask(made, state=bias)
    assert set(np.unique(routed.experts)) == {0, 2}
    s = jax.nn.sigmoid(X @ made.weight.T)[:, jnp.array([0, 2])]
    wanted = s / s.sum(-1, keepdims=True)
    np.testing.assert_allclose(routed.gates()[:, jnp.array([0, 2])], wanted, atol=1e-6)
    no_gradient = jax.jit(jax.grad(lambda b: made(X, b, None, None).weights.sum()))(bias)
    assert (no_gradient == 0).all()


def test_biases_move_by_the_sign_and_balance():
    made = BiasBalanced(D, E, 2, rate=0.01, key=0)
    state = made.next_state(None, jnp.array([9, 1, 5, 5]))
    np.testing.assert_allclose(state, [-0.01, 0.01, 0.0, 0.0])
    made = eqx.tree_at(lambda r: r.weight, made, made.weight + jnp.eye(E, D) * 0.5)
    x = X + jnp.array([2.0, 0, 0, 0, 0, 0])  # everybody prefers the first
    state = made.initial_state()

    @eqx.filter_jit
    def batch(state):
        routed = made(x, state, None, None)
        return made.next_state(state, routed.counts()), routed.counts() / routed.counts().sum()

    _, before = batch(state)
    for _ in range(200):
        state, after = batch(state)
    assert before.max() > 0.4
    assert after.max() < 0.3


def test_only_biases_are_state():
    assert BiasBalanced(D, E, key=0).initial_state().shape == (E,)
    for made in (TopK(D, E, key=0), NoisyTopK(D, E, key=0), ExpertChoice(D, E, key=0)):
        assert made.initial_state() is None
        assert made.next_state(None, jnp.ones(E)) is None


def test_statistics_of_a_known_routing():
    made = TopK(2, 4, 1, key=0)
    weight = jnp.array([[8.0, 0], [0, 8.0], [-8.0, -8.0], [-8.0, -8.0]])
    made = eqx.tree_at(lambda r: r.weight, made, weight)
    x = jnp.array([[1.0, 0], [1.0, 0], [0, 1.0], [1.0, 0]])
    routed = ask(made, x)
    kept = routed.only(within(routed.experts, 4, 2))
    found = statistics_of(routed, kept)
    np.testing.assert_allclose(found.utilisation, [0.75, 0.25, 0, 0])
    wanted = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / np.log(4)
    assert found.entropy == pytest.approx(wanted, rel=1e-5)
    assert found.router_entropy == pytest.approx(0.0, abs=0.01)
    assert (found.dropped_fraction, found.unhandled_fraction, found.dead_experts) == (0.25, 0.25, 2)
