"""What is data and not learned: frozen leaves, dropout rates, constraints."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from shoal import LTC, CfC
from shoal.neurons import (
    Dropout,
    Head,
    SequenceModel,
    TimeScaling,
    partition,
    project_constraints,
    set_dropout,
)


def a_model(seed=0, **options):
    rnn = CfC(2, 4, backbone_units=5, key=seed, **options)
    return SequenceModel(rnn, Head(4, (1,), key=seed + 1), TimeScaling("log", mean=2.0))


def test_partition_leaves_frozen_arrays_out_and_loses_nothing():
    model = a_model(dropout=0.3, backbone_dropout=0.1)
    trainable, rest = partition(model)
    frozen = [leaf for leaf in jax.tree.leaves(rest) if eqx.is_array(leaf)]
    # two rates, and the kind, mean and std of the time scaling
    assert sorted(np.asarray(leaf).item() for leaf in frozen) == pytest.approx([0.1, 0.3, 1, 1, 2])
    assert len(jax.tree.leaves(trainable)) == len(jax.tree.leaves(model)) - 5
    assert eqx.tree_equal(eqx.combine(trainable, rest), model)


def test_dropout_keeps_the_mean_and_the_right_share():
    ones = jnp.ones((200, 200))
    dropped = np.asarray(Dropout(0.25)(ones, jax.random.key(0)))
    assert set(np.unique(dropped)) == {0.0, np.float32(1 / 0.75)}
    assert np.mean(dropped == 0) == pytest.approx(0.25, abs=0.01)
    assert Dropout(0.25)(ones, None) is ones


def test_set_dropout_reaches_every_rate():
    model = set_dropout(a_model(dropout=0.1, backbone_dropout=0.2), 0.5)
    rates = [model.rnn.stack.layers[0].dropout, model.rnn.stack.layers[0].forward.dropout]
    assert [rate.rate.value for rate in rates] == [0.5, 0.5]


def test_members_of_one_program_have_their_own_rates_and_time_scales():
    members = [a_model(backbone_dropout=0.1) for _ in range(2)]
    kinds = [TimeScaling("raw"), TimeScaling("bounded", mean=3.0)]
    members = [
        eqx.tree_at(lambda m: m.time_scaling, m, k) for m, k in zip(members, kinds, strict=True)
    ]
    stack = jax.tree.map(lambda *a: jnp.stack(a), *[eqx.filter(m, eqx.is_array) for m in members])
    stack = set_dropout(stack, jnp.array([0.0, 0.9]))
    static = eqx.filter(members[0], eqx.is_array, inverse=True)
    x, elapsed = jnp.ones((50, 3, 2)), 2.0

    def run(key):
        return jax.vmap(lambda a: eqx.combine(a, static)(x, elapsed, key=key))(stack)

    quiet, noisy = run(None), run(jax.random.key(0))
    np.testing.assert_allclose(quiet[0], members[0](x, elapsed), rtol=1e-5)
    np.testing.assert_allclose(quiet[1], members[1](x, elapsed), rtol=1e-5)
    np.testing.assert_allclose(noisy[0], quiet[0], rtol=1e-5)
    assert np.std(np.asarray(noisy[1])) > 0.05


def test_constraints_are_projected_where_there_are_any():
    explicit = LTC(2, 3, implicit_param_constraints=False, key=0)
    where = lambda rnn: rnn.stack.layers[0].forward.params["w"]  # noqa: E731
    explicit = eqx.tree_at(where, explicit, where(explicit) - 0.5)
    assert np.min(where(explicit)) < 0 <= np.min(where(project_constraints(explicit)))
    implicit = LTC(2, 3, key=0)
    assert eqx.tree_equal(project_constraints(implicit), implicit)
    assert eqx.tree_equal(project_constraints(a_model()), a_model())
