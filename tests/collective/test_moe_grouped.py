"""Rows to experts and back: both ways of computing, under vmap, without scatters."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from shoal.collective.moe import MLP, GatedFFN, blocks, dispatch, grouped, rounds
from shoal.collective.moe.experts import stacked
from shoal.collective.moe.mixing import mix
from shoal.collective.moe.routed import Routed

E, D, H, OUT = 4, 6, 10, 5


def gated(key):
    return GatedFFN(D, H, OUT, key=key)


def mlp(key):
    return MLP(D, H, OUT, key=key)


def module(key):
    return eqx.nn.MLP(D, OUT, H, 2, key=key)


KINDS = {"gated": gated, "mlp": mlp, "module": module}


def routing(experts, weights):
    logits = jnp.zeros((len(experts), E))
    return Routed(experts, weights, None, logits, jax.nn.softmax(logits))


def reference(experts, x, chosen, weights):
    """All experts on all tokens, then the chosen ones."""
    every = grouped.all_experts(experts, x)
    every = jnp.concatenate([every, jnp.zeros_like(every[:1])])
    picked = every[chosen, jnp.arange(len(x))[:, None]]
    return jnp.sum(picked * weights[..., None], 1)


def mixed(experts, x, chosen, weights):
    return mix(experts, x, routing(chosen, weights))


def problem(tokens, kind, balance, top_k=2):
    rng = np.random.default_rng(0)
    experts = stacked(KINDS[kind], E, jax.random.key(0))
    chosen = {
        "even": rng.permuted(np.tile(np.arange(E), (tokens, 1)), axis=1)[:, :top_k],
        "one takes all": np.full((tokens, top_k), 2),
        "some nobody's": rng.integers(0, E + 1, (tokens, top_k)),
        "none": np.full((tokens, top_k), E),
    }[balance]
    weights = np.where(chosen < E, rng.random(chosen.shape), 0.0)
    x = rng.standard_normal((tokens, D))
    return experts, jnp.asarray(x, jnp.float32), jnp.asarray(chosen), jnp.asarray(weights, "f4")


@eqx.filter_jit
def value_and_gradients(fn, experts, x, chosen, weights):
    """The mixture, and the gradients of a function of it."""

    def loss(parts):
        y = fn(parts[0], parts[1], chosen, parts[2])
        return jnp.sum(jnp.sin(y)), y

    (_, y), gradients = eqx.filter_value_and_grad(loss, has_aux=True)((experts, x, weights))
    return y, gradients


def assert_close(found, wanted, atol=2e-5):
    found, wanted = (jax.tree.leaves(eqx.filter(t, eqx.is_array)) for t in (found, wanted))
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=atol, rtol=1e-4)


@pytest.mark.parametrize("way", [blocks, rounds], ids=["blocks", "rounds"])
@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_equal_all_experts(way, kind, monkeypatch):
    """In outputs and gradients; `way` stands in for the choice that is made by platform."""

    def forced(*arrays, cpu, default):
        return (cpu if way is blocks else default)(*arrays)

    monkeypatch.setattr(grouped.lax, "platform_dependent", forced)

    def compiled_anew(*parts):
        return mixed(*parts)

    for balance in ("even", "one takes all", "some nobody's", "none"):
        parts = problem(150, kind, balance)
        found = value_and_gradients(compiled_anew, *parts)
        assert_close(found, value_and_gradients(reference, *parts))


@pytest.mark.parametrize("tokens", [1, 700])
def test_any_number_of_tokens(tokens):
    parts = problem(tokens, "gated", "even")
    assert_close(value_and_gradients(mixed, *parts), value_and_gradients(reference, *parts))


def test_nobodys_rows_are_zero_even_beside_overflow():
    experts, x, chosen, weights = problem(40, "gated", "some nobody's")
    chosen, weights = chosen.at[7].set(E), weights.at[7].set(0.0)
    y, gradients = value_and_gradients(mixed, experts, x.at[7].set(1e30), chosen, weights)
    assert (y[7] == 0).all()
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(gradients))


@pytest.mark.parametrize("mapped", ["rows", "experts", "all"])
def test_vmap_equals_a_loop(mapped):
    makes = [problem(30, "gated", balance) for balance in ("even", "some nobody's")]
    axes = {"rows": (None, 0, 0, 0), "experts": (0, None, None, None)}
    axes = {"all": (0, 0, 0, 0), **axes}[mapped]
    pairs = list(zip(*makes, strict=True))
    both = [
        jax.tree.map(lambda a, b: jnp.stack([a, b]), *pair) if axis == 0 else pair[0]
        for axis, pair in zip(axes, pairs, strict=True)
    ]
    alone = [
        [pair[i if axis == 0 else 0] for axis, pair in zip(axes, pairs, strict=True)]
        for i in range(2)
    ]

    def run(*parts):
        return value_and_gradients(mixed, *parts)

    found = jax.jit(jax.vmap(run, in_axes=axes))(*both)
    wanted = jax.tree.map(lambda a, b: jnp.stack([a, b]), *(run(*parts) for parts in alone))
    assert_close(found, wanted)


def test_gradient_of_vmap():
    experts, x, chosen, weights = problem(30, "mlp", "even")

    def loss(experts, fn):
        rows = jax.vmap(fn, (None, 0, None, None))(experts, jnp.stack([x, 2 * x]), chosen, weights)
        return jnp.sum(rows**2)

    gradient = eqx.filter_jit(eqx.filter_grad(loss))
    gradients = (gradient(experts, fn) for fn in (mixed, reference))
    assert_close(*gradients, atol=1e-3)


def test_the_way_is_chosen_when_lowered():
    """A CPU loops over experts; elsewhere all are in one batched product."""
    experts, x, chosen, weights = problem(64, "gated", "even")
    traced = jax.jit(mixed).trace(experts, x, chosen, weights)
    text = {p: traced.lower(lowering_platforms=(p,)).as_text() for p in ("cpu", "cuda")}
    batched = f"tensor<{E}x"
    products = {
        p: [line for line in t.splitlines() if "dot_general" in line] for p, t in text.items()
    }
    assert products["cpu"]
    assert not any("batching_dims" in line for line in products["cpu"])
    assert all(batched in line and "batching_dims" in line for line in products["cuda"])


def test_no_float_is_scattered_on_a_cpu():
    """Gathers by the inverse order do; a scatter of rows is slow."""
    parts = problem(64, "gated", "even")

    def loss(experts, x, weights):
        return jnp.sum(mixed(experts, x, parts[2], weights) ** 2)

    lowered = jax.jit(jax.grad(loss, (0, 1, 2))).lower(parts[0], parts[1], parts[3])
    text = lowered.compile().as_text()
    assert not [line for line in text.splitlines() if " scatter(" in line and "= f32" in line]


def test_weights_in_bfloat16_gather_gradients_in_float32():
    narrow = stacked(
        lambda key: GatedFFN(D, H, OUT, dtype="bfloat16", key=key), E, jax.random.key(0)
    )
    _, x, chosen, weights = problem(2000, "gated", "one takes all")
    x = x.astype("bfloat16")
    wide = jax.tree.map(lambda a: a.astype("float32"), narrow)

    def gradient(experts, x):
        def loss(experts):
            return jnp.mean(mixed(experts, x, chosen, weights).astype("float32"))

        return jax.jit(jax.grad(loss))(experts)

    found, wanted = gradient(narrow, x), gradient(wide, x.astype("float32"))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == jnp.bfloat16
        error = jnp.linalg.norm(a.astype("float32") - b) / jnp.linalg.norm(b)
        assert error < 0.02  # summed in bfloat16 over 2000 tokens it would be far more


def test_plans_of_tokens_and_of_experts_agree():
    tokens = jnp.array([[0, 3], [1, 2], [2, 0]])
    owners = jnp.array([[0, 0], [1, 3], [2, 2]])  # expert 1 leaves a place empty
    plan = dispatch.by_experts(tokens, owners)
    assert plan.counts.tolist() == [2, 1, 2]
    assert plan.rows[:5].tolist() == [0, 3, 1, 2, 0]
    weights = jnp.arange(1.0, 7.0)[plan.order]
    y = jnp.ones((len(plan.rows), 1)).at[5:].set(0.0)
    assert dispatch.give_back(y, weights, plan, 4)[:, 0].tolist() == [7.0, 3.0, 5.0, 2.0]
