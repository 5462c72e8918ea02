"""Members that share matrices are ordinary members, cheaper to train."""

from functools import cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import shoal
from shoal.neurons import MLP
from shoal.neurons.model import build_model
from shoal.neurons.shared_matrix import SharedMatrix, dense
from shoal.population import Checkpoint, optimiser
from shoal.population.samples import Samples
from shoal.population.shared_gradient import Params, SharedRecipe, lead
from shoal.population.shared_program import dealt
from shoal.population.sharing import BatchEnsemble, TabM, resolve
from shoal.population.train import Given
from shoal.wirings import AutoNCP

N = 3
WIRING = AutoNCP(10, 2).to_dict()
MEMBERS = {
    "mlp": None,
    "cfc": {"kind": "cfc", "units": 4, "backbone_units": 5},
    "wired cfc": {"kind": "cfc", "wiring": WIRING},
    "ltc": {"kind": "ltc", "wiring": WIRING, "ode_unfolds": 2},
    "ctrnn": {"kind": "ctrnn", "wiring": WIRING, "ode_unfolds": 2},
    "ctgru": {"kind": "ctgru", "wiring": WIRING},
    "lstm": {"kind": "lstm", "units": 4},
    "gru": {"kind": "gru", "units": 4},
}
WITH_GRADIENTS = ("mlp", "cfc", "wired cfc", "ltc", "ctgru")  # each its own way to matrices
X = np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32)


def maker(kind):
    if kind == "mlp":
        return lambda key: MLP(6, 5, (1,), num_layers=2, key=key)
    config = {"input_size": 2, "output_shape": [1], **MEMBERS[kind]}
    return lambda key: build_model(config, key)


@cache
def crowd(kind="mlp", sharing="batch_ensemble"):
    """Members that nothing changes: made once."""
    return shoal.Population.init(maker(kind), N, sharing=sharing)


@pytest.mark.parametrize("kind", sorted({*MEMBERS} - set(WITH_GRADIENTS)))
def test_they_are_their_dense_members(kind):
    people = crowd(kind)
    answers = people(X)
    np.testing.assert_allclose(answers, people.expanded()(X), rtol=1e-5, atol=1e-5)
    assert float(jnp.std(answers, axis=0).min()) > 0


@pytest.mark.parametrize("kind", WITH_GRADIENTS)
def test_they_are_their_dense_members_with_the_same_gradients(kind):
    group = crowd(kind, BatchEnsemble(start="normal")).groups[0]

    def losses(parts, worked_out):
        common, own, fast = parts
        whole = eqx.tree_at(lambda g: (g.common, g.own, g.fast), group, (common, own, fast))
        if worked_out:
            arrays, static = eqx.partition(whole.members, eqx.is_array)
            answers = jax.vmap(lambda a: eqx.combine(a, static)(X))(arrays)
        else:
            arrays, member = whole.parts()
            answers = jax.vmap(lambda a: member(a)(X))(arrays)
        return (answers**2).sum(), answers

    @eqx.filter_jit
    def both(parts):
        told = [eqx.filter_value_and_grad(losses, has_aux=True)(parts, way) for way in (0, 1)]
        return [(answers, eqx.filter(gradient, eqx.is_array)) for (_, answers), gradient in told]

    (shared, down), (plain, other) = both((group.common, group.own, group.fast))
    np.testing.assert_allclose(shared, plain, rtol=1e-5, atol=1e-5)
    assert float(jnp.std(plain, axis=0).min()) > 0  # they differ
    for a, b in zip(jax.tree.leaves(down), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * max(1.0, float(jnp.abs(b).max())))


def test_a_shared_matrix_is_its_numbers():
    rng = np.random.default_rng(1)
    w, r, s = (jnp.asarray(rng.normal(size=n)) for n in ((4, 3), 4, 3))
    matrix, numbers = SharedMatrix(w, r, s), w * np.outer(r, s)
    x, column = rng.normal(size=(5, 4)), rng.normal(size=3)
    np.testing.assert_allclose(dense(matrix), numbers, rtol=1e-6)
    np.testing.assert_allclose(x @ matrix, x @ numbers, rtol=1e-5)
    np.testing.assert_allclose(matrix @ column, numbers @ column, rtol=1e-5)
    np.testing.assert_allclose(matrix @ x[:3], numbers @ x[:3], rtol=1e-5)
    np.testing.assert_allclose(dense(matrix[1:, :2].T), numbers[1:, :2].T, rtol=1e-6)
    at = np.array([0, 2]), np.array([1, 1])
    np.testing.assert_allclose(matrix[at], numbers[at], rtol=1e-6)
    assert (matrix.shape, matrix.ndim, matrix.dtype) == ((4, 3), 2, w.dtype)


def test_where_r_and_s_start():
    every = crowd().groups[0].fast
    assert {float(abs(v)) for v in np.concatenate(jax.tree.leaves(every), axis=1).ravel()} == {1.0}
    assert not np.array_equal(*jax.tree.leaves(every)[0][:2])
    group = crowd(sharing="tabm").groups[0]
    moved = {name for name, s in group.fast.signals.items() if (np.asarray(s) != 1).any()}
    assert moved == {group.layout.first}
    assert all((np.asarray(r) == 1).all() for r in group.fast.rows.values())
    head = group.own.head.params["weight"]
    assert head.shape == (N, 1, 5)
    assert not np.allclose(head[0], head[1])


def test_a_liquid_neuron_keeps_the_signs_that_mean_something():
    fast = crowd("ltc").groups[0].fast
    for name, s in fast.signals.items():
        steady = any(part in name for part in ("erev", "sigma", "mu"))
        assert (np.asarray(s) == 1).all() == steady or "head" in name, name


def test_members_are_taken_chosen_and_expanded():
    people = crowd()
    answers = people(X)
    np.testing.assert_allclose(people.member(1)(X), answers[1], atol=1e-6)
    some = people.select([2, 0])
    np.testing.assert_allclose(some(X), answers[jnp.array([2, 0])], atol=1e-6)
    np.testing.assert_allclose(people.expanded()(X), answers, atol=1e-6)
    assert people.seeds + some.seeds == (42, 43, 44, 44, 42)
    sizes = [
        sum(a.size for a in jax.tree.leaves(eqx.filter(p, eqx.is_inexact_array)))
        for p in (people, people.expanded())
    ]
    assert sizes[0] < sizes[1]


def test_cards_are_dealt_and_short_hands_filled_up():
    rows, weights = dealt(jnp.arange(8), jnp.array([1.0] * 7 + [0.0]), 3, "divided")
    assert rows.shape == (3, 3)
    assert sorted(rows[weights > 0].tolist()) == list(range(7))
    rows, weights = dealt(jnp.arange(4), jnp.ones(4), 3, "all")
    assert (rows.shape, weights.shape) == ((4,), (3, 4))


@pytest.fixture(scope="module")
def series():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 3, 2)).astype(np.float32)
    return x, np.sin(x.sum((1, 2))[:, None]).astype(np.float32)


def train(people, series, **options):
    valid = series[0][:10], series[1][:10]
    options = {"epochs": 25, "batch_size": 8, "learning_rate": 2e-2, **options}
    return shoal.fit(people, series, valid, **options)


@pytest.mark.parametrize("sharing", [BatchEnsemble(), TabM()], ids=lambda s: s.kind)
def test_they_learn_together_and_end_as_a_population(sharing, series):
    fitted = train(crowd(sharing=sharing), series, weight_decay=1e-3)
    losses = fitted.history.matrix("train_loss")
    assert (losses[-1] < losses[0]).all()
    assert [one["status"] for one in fitted.status] == ["finished"] * N
    assert len({one["best_epoch"] for one in fitted.status}) == 1
    x, y = series
    own = ((np.asarray(fitted.population.expanded()(x[:10])) - y[:10]) ** 2).mean((1, 2))
    np.testing.assert_allclose([one["best_loss"] for one in fitted.status], own, rtol=1e-4)
    crowd_ = shoal.Collective(fitted.population)
    assert crowd_.predict(x[:2]).mean.shape == (2, 1)


def test_one_by_one_is_side_by_side(series):
    ways = [train(crowd(sharing="tabm"), series, strategy=s, epochs=2) for s in ("vmap", "loop")]
    leaves = [jax.tree.leaves(eqx.filter(fitted.last, eqx.is_array)) for fitted in ways]
    for one, other in zip(*leaves, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_regime_may_see_all_answers(series):
    fitted = train(crowd(sharing="tabm"), series, regime="negative_correlation", epochs=2)
    assert (fitted.history.matrix("diversity")[-1] < 0).all()


def test_a_training_is_taken_up_where_it_was(series, tmp_path):
    whole = train(crowd(), series, epochs=4)
    train(crowd(), series, epochs=2, checkpoint=tmp_path)
    again = train(crowd(), series, epochs=4, checkpoint=Checkpoint(tmp_path, resume=True))
    for one, other in zip(
        *(jax.tree.leaves(eqx.filter(f.population, eqx.is_array)) for f in (whole, again)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match=r"differs in .*sharing"):
        train(
            crowd(sharing=BatchEnsemble(fast_rate=0.5)),
            series,
            epochs=4,
            checkpoint=Checkpoint(tmp_path, resume=True),
        )


def test_a_hand_of_filler_changes_nothing():
    """Its gradient is 0 and not NaN, also of a loss that divides by the rows it has."""
    group = crowd().groups[0]
    own, static = eqx.partition(group.own, eqx.is_inexact_array)
    rest, static = eqx.partition(static, eqx.is_array)

    def loss(prediction, y, y_mask):
        return (jnp.where(y_mask, prediction - y, 0) ** 2).sum() / y_mask.sum()

    direction = optimiser.direction("adam")
    recipe = SharedRecipe(static, group.layout, group.sharing, loss, direction, None, False)
    given = Given(rest, np.arange(N, dtype=np.uint32), 0.1, 0.0)  # pyright: ignore
    batch = Samples(X[:3, None], None, None, np.ones((3, 1, 1), np.float32), None)
    weights = jnp.array([[1.0], [1.0], [0.0]])
    params = Params(group.common, own, group.fast)
    keys = jax.random.split(jax.random.key(0), N)
    told, _, gradients = jax.jit(partial(lead, recipe))(given, params, batch, weights, keys)
    assert float(told.weight[2]) == 0
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradients))
    assert all((np.asarray(g[2]) == 0).all() for g in jax.tree.leaves(gradients.fast))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda s: crowd(sharing="batch_ensembel"), "did you mean 'batch_ensemble'"),
        (
            lambda s: resolve({"kind": "tabm", "rows": "some"}),
            "`rows` of tabm must be one of",
        ),
        (
            lambda s: resolve({"kind": "tabm", "spread": 0}),
            "`spread` of tabm must be above 0",
        ),
        (lambda s: resolve({"kind": "tabm", "width": 2}), "sharing 'tabm'"),
        (lambda s: shoal.Population.init([maker("mlp")] * 2, 2, sharing="tabm"), "one structure"),
        (
            lambda s: shoal.Population.init(lambda k: eqx.nn.Identity(), 2, sharing="tabm"),
            "matrices",
        ),
        (lambda s: train(crowd(), s, regime="joint"), 'rows="all"'),
        (lambda s: train(crowd(), s, batch_size=2), "cannot be divided among 3 members"),
        (lambda s: train(crowd(), s, regime="snapshot"), "one after the other"),
        (lambda s: train(crowd(), s, learning_rate=[1e-2, 1e-3, 1e-3]), "must be one number"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, told, series):
    with pytest.raises(ValueError, match=told):
        wrong(series)


def test_clipped_neurons_are_refused():
    config = {"kind": "ltc", "units": 3, "implicit_param_constraints": False}
    config |= {"input_size": 2, "output_shape": [1]}
    with pytest.raises(ValueError, match="implicit_param_constraints=True"):
        shoal.Population.init(lambda key: build_model(config, key), 2, sharing="tabm")


def test_none_is_a_kind_too():
    assert resolve("none") is None
    assert resolve(None) is None
    assert resolve(TabM()) == TabM()
