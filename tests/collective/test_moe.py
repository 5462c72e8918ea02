"""The layers `MixtureOfExperts` and `SwitchFFN`, every router and kind of expert alike."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from shoal.collective import MixtureOfExperts, SwitchFFN
from shoal.collective.moe import TopK
from shoal.collective.moe.grouped import all_experts
from shoal.collective.moe.routers import ROUTERS

D, E, OUT = 6, 4, 3
X = jax.random.normal(jax.random.key(0), (2, 9, D))
KEY = jax.random.key(1)
TRACED = []


def mixture(**options):
    return MixtureOfExperts(D, OUT, **{"hidden_size": 8, "n_experts": E, "key": 0, **options})


def module(key):
    return eqx.nn.MLP(D, OUT, 8, 2, key=key)


def reference(moe, x, gates):
    """Every expert on every token, weighted by the gates."""
    answers = all_experts(moe.experts, x.reshape(-1, D))
    return jnp.einsum("te,eto->to", gates.reshape(-1, E), answers).reshape(*x.shape[:-1], -1)


def loss(fn):
    def of(parts):
        moe, x = parts
        return jnp.sum(jnp.sin(fn(moe, x)))

    return eqx.filter_jit(eqx.filter_value_and_grad(of))


@pytest.mark.parametrize(
    ("router", "experts"),
    [*((name, "gated") for name in ROUTERS), ("noisy_top_k", "mlp"), ("noisy_top_k", module)],
)
def test_equals_all_experts_in_outputs_and_gradients(router, experts):
    moe = mixture(router=router, experts=experts)
    found = loss(lambda moe, x: moe(x)[0])((moe, X))
    wanted = loss(lambda moe, x: reference(moe, x, moe(x)[1].gates))((moe, X))
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    gradient = found[1][0].router.weight
    assert jnp.abs(gradient).max() > 0


def test_defaults():
    moe = MixtureOfExperts(D, key=0)
    assert (moe.n_experts, moe.top_k, moe.output_size) == (8, 2, D)
    assert moe.router.noise_std == 1.0
    assert moe.capacity_factor is None
    assert dict(moe.loss_weights) == {"importance": 0.01, "load": 0.01}
    assert MixtureOfExperts(D, dropless=False, key=0).capacity_factor == 1.25
    switch = SwitchFFN(D, key=0).mixture
    assert (switch.n_experts, switch.top_k, switch.capacity_factor) == (8, 1, 1.0)
    assert dict(switch.loss_weights) == {"load_balance": 0.01}


@pytest.mark.parametrize("shape", [(), (2, 3, 7)])
def test_any_leading_axes(shape):
    x = jnp.ones((*shape, D))
    y, info = mixture()(x)
    assert y.shape == (*shape, OUT)
    assert info.gates.shape == (*shape, E)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dtypes(dtype):
    y, info = mixture(dtype=dtype)(X.astype(dtype))
    assert y.dtype == dtype
    assert info.gates.dtype == info.aux_loss.dtype == jnp.float32


def test_noise_needs_a_key():
    moe = mixture()
    np.testing.assert_array_equal(moe(X)[0], moe(X)[0])
    assert not jnp.allclose(moe(X)[1].gates, moe(X, key=KEY)[1].gates)
    np.testing.assert_array_equal(moe(X, key=KEY)[0], moe(X, key=KEY)[0])


@pytest.mark.parametrize("router", ROUTERS)
def test_padding_is_nobodys(router):
    moe = mixture(router=router, shared_experts=1)
    mask = jnp.arange(9) < jnp.array([[9], [5]])
    dirty = jnp.where(mask[..., None], X, jnp.nan)

    @eqx.filter_jit
    @eqx.filter_grad(has_aux=True)
    def gradient(moe):
        y, info = moe(dirty, mask=mask)
        return jnp.sum(y), (y, info.gates, info.losses)

    slopes, (y, gates, losses) = gradient(moe)
    mask = np.asarray(mask)
    alone, alone_info = moe(np.asarray(X)[mask])
    np.testing.assert_allclose(np.asarray(y)[mask], alone, atol=1e-5)
    assert (np.asarray(y)[~mask] == 0).all()
    assert (np.asarray(gates)[~mask] == 0).all()
    for name, value in alone_info.losses.items():
        assert losses[name] == pytest.approx(value.item(), rel=1e-4, abs=1e-5)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(slopes))


def test_aux_loss_is_the_weighted_sum():
    options = {"aux_losses": ("load_balance", "importance"), "z_loss_weight": 0.1}
    _, info = mixture(aux_loss_weight=0.5, **options)(X, key=KEY)
    parts = info.losses
    wanted = 0.5 * (parts["load_balance"] + parts["importance"]) + 0.1 * parts["z"]
    assert info.aux_loss == pytest.approx(wanted.item(), rel=1e-5)
    assert mixture(router="bias_balanced")(X)[1].aux_loss == 0.0


def test_capacity_holds_where_it_is_asked():
    x = jnp.ones((40, D)) + 0.01 * jax.random.normal(KEY, (40, D))  # all alike
    for options, key, dropped in (
        ({}, KEY, False),
        ({"dropless": False}, KEY, True),
        ({"dropless": False}, None, False),
        ({"dropless": False, "drop_in_evaluation": True}, None, True),
    ):
        moe = mixture(router="top_k", **options)
        y, info = moe(x, key=key)
        assert (info.statistics.dropped_fraction > 0.3) == dropped
        np.testing.assert_allclose(y, reference(moe, x, info.gates), atol=1e-5)
        if dropped:
            assert ((info.gates > 0).sum(0) <= 25).all()  # ceil(1.25 · 2 · 40 / 4)
    assert ((info.gates > 0).sum(0) == 25).any()


def test_padding_takes_no_room():
    moe = mixture(router="top_k", dropless=False, drop_in_evaluation=True)
    x = jnp.ones((40, D))
    _, info = moe(x, mask=jnp.arange(40) % 4 == 0)
    assert (info.gates > 0).sum(0).max() == 7  # ceil(1.25 · 2 · 10 / 4)


def test_shared_experts_answer_every_token():
    moe = mixture(shared_experts=2)
    shared = all_experts(moe.shared, X.reshape(-1, D)).sum(0).reshape(2, 9, OUT)
    routed = reference(moe, X, moe(X)[1].gates)
    np.testing.assert_allclose(moe(X)[0], routed + shared, atol=1e-5)


def test_biases_are_carried():
    moe = mixture(router="bias_balanced")
    state = moe.initial_state()
    assert state.shape == (E,)
    _, info = moe(X, state)
    assert jnp.abs(info.state).max() == pytest.approx(1e-3)
    far = jnp.zeros(E).at[3].set(10.0)
    assert (moe(X, far)[1].gates[..., 3] > 0).all()


def test_under_vmap_over_members_and_batches():
    members = eqx.filter_vmap(lambda key: mixture(key=key))(jax.random.split(KEY, 3))
    y = eqx.filter_jit(eqx.filter_vmap(lambda moe, x: moe(x)[0], in_axes=(0, None)))(members, X)
    for i in range(3):
        member = jax.tree.map(lambda a, i=i: a[i] if eqx.is_array(a) else a, members)
        np.testing.assert_allclose(y[i], member(X)[0], atol=1e-5)
    rows = jax.jit(jax.vmap(lambda x: member(x)[0]))(X)
    np.testing.assert_allclose(rows, member(X)[0], atol=1e-5)


def test_is_compiled_once():
    class Noted(eqx.Module):
        inner: eqx.nn.MLP

        def __call__(self, x):
            TRACED.append(x)
            return self.inner(x)

    moe = mixture(experts=lambda key: Noted(module(key)))
    moe(X)
    before = len(TRACED)
    moe(X + 1.0)
    assert len(TRACED) == before


def test_losses_train_a_balance():
    """From a router that sends everything to one expert, the auxiliary loss alone spreads it."""
    moe = mixture(router="top_k", top_k=1, aux_loss_weight=1.0)
    x = X.reshape(-1, D) + jnp.arange(D) / 3
    bad = moe.router.weight.at[0].add(jnp.ones(D))
    moe = eqx.tree_at(lambda m: m.router.weight, moe, bad)

    @eqx.filter_jit
    def step(moe):
        gradient = eqx.filter_grad(lambda moe: moe(x)[1].aux_loss)(moe)
        return jax.tree.map(
            lambda w, g: w - 0.3 * g, *(eqx.filter(t, eqx.is_array) for t in (moe, gradient))
        )

    before = moe(x)[1].statistics
    static = eqx.filter(moe, eqx.is_array, inverse=True)
    for _ in range(150):
        moe = eqx.combine(step(moe), static)
    after = moe(x)[1].statistics
    assert before.entropy < 0.1
    assert after.entropy > 0.6


@pytest.mark.parametrize("drop_in_evaluation", [False, True])
def test_switch_passes_dropped_tokens_by(drop_in_evaluation):
    layer = SwitchFFN(D, 8, n_experts=E, drop_in_evaluation=drop_in_evaluation, key=0)
    x = jnp.ones((12, D))
    y, info = layer(x, key=KEY)
    assert info.statistics.dropped_fraction == pytest.approx(0.75)
    np.testing.assert_array_equal(y[3:], x[3:])
    assert (y[:3] != x[:3]).any(-1).all()
    y, info = layer(x)
    assert info.statistics.dropped_fraction == pytest.approx(0.75 * drop_in_evaluation)


def test_switch_without_dropping_and_its_value():
    layer = SwitchFFN(D, 8, n_experts=E, drop_tokens=False, key=0)
    x = X.reshape(-1, D)
    y, info = layer(x, key=KEY)
    assert info.statistics.dropped_fraction == 0.0
    answers = all_experts(layer.mixture.experts, x)
    best = jnp.argmax(info.gates, -1)
    p = jnp.max(info.gates, -1, keepdims=True)
    np.testing.assert_allclose(y, x + p * answers[best, jnp.arange(len(x))], atol=1e-5)
    assert (p < 1).all()


BAD = {
    "`top_k` must be at most the number of experts, 4, got 5": {"top_k": 5},
    "`top_k` must be a whole number of at least 1, got 0": {"top_k": 0},
    "`n_experts` must be a whole number of at least 1": {"n_experts": 0},
    "`capacity_factor` must be a finite number above 0, got 0": {"capacity_factor": 0},
    "`noise_std` must be a finite number of at least 0, got -1": {"noise_std": -1},
    "`aux_loss_weight` must be a finite number": {"aux_loss_weight": float("nan")},
    "`shared_experts` must be a whole number of at least 1": {"shared_experts": 1.5},
    "`router` must be one of noisy_top_k, top_k, expert_choice": {"router": "softmax"},
    "`router` must be of .* = .6, 4, 2., got .6, 8, 2.": {"router": TopK(D, key=0)},
    "`experts` must be one of gated, mlp": {"experts": "attention"},
    "`experts` must answer an array of shape .3,., got .2,.": {
        "experts": lambda key: eqx.nn.Linear(D, 2, key=key)
    },
    "`experts` must make modules that take .6,.": {
        "experts": lambda key: eqx.nn.Linear(D + 1, OUT, key=key)
    },
    "`aux_losses` must be of load_balance, importance, load, z; got 'cv'": {"aux_losses": ("cv",)},
    "`activation` must be one of": {"activation": "swish"},
}


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_is_refused(message):
    with pytest.raises(ValueError, match=message):
        mixture(**BAD[message])


def test_inputs_that_do_not_fit_are_refused():
    moe = mixture()
    with pytest.raises(ValueError, match=r"input_size = 6 features .*, got \(2, 5\)"):
        moe(jnp.ones((2, 5)))
    with pytest.raises(ValueError, match=r"booleans of shape \(2, 9\).* got bool of shape \(9,\)"):
        moe(X, mask=jnp.ones(9, bool))
    with pytest.raises(ValueError, match="got float32 of shape"):
        moe(X, mask=jnp.ones((2, 9)))
    with pytest.raises(ValueError, match="`state` must be None"):
        moe(X, jnp.zeros(E))
    with pytest.raises(ValueError, match=r"one bias per expert, \(4,\), got \(3,\)"):
        mixture(router="bias_balanced")(X, jnp.zeros(3))
