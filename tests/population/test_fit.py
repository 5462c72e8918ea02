"""Training: members in a crowd are members alone; one program; weights, losses, history."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import shoal
from shoal.equations.outputs import Categorical, Normal
from shoal.population import Population
from shoal.population.objective import batch_loss
from shoal.population.samples import as_samples, in_order, shuffled

QUICK = {"epochs": 4, "batch_size": 16, "learning_rate": 1e-2, "stopping": None}


@pytest.fixture(scope="module")
def crowds(dense, recurrent, samples):
    """Crowds and the same members alone, for every kind and strategy."""
    cases = {}
    for kind, make in (
        ("dense", lambda key: dense(key, rate=0.2)),
        ("recurrent", recurrent),
    ):
        train, valid = samples(kind, 37), samples(kind, 20, seed=1)
        for strategy in ("vmap", "loop"):
            fitted = shoal.fit(Population.init(make, 5), train, valid, strategy=strategy, **QUICK)
            alone = [
                shoal.fit(Population.init(make, 1, seed), train, valid, strategy=strategy, **QUICK)
                for seed in (42, 45)
            ]
            cases[kind, strategy] = (fitted, alone)
    return cases


@pytest.fixture(scope="module")
def two(dense):
    """Two members, which no training changes."""
    return Population.init(dense, 2)


@pytest.mark.parametrize("kind", ["dense", "recurrent"])
@pytest.mark.parametrize(("strategy", "tolerance"), [("vmap", 1e-5), ("loop", 0.0)])
def test_a_member_in_the_crowd_is_the_member_alone(crowds, same, kind, strategy, tolerance):
    crowd, alone = crowds[kind, strategy]
    for index, single in zip((0, 3), alone, strict=True):
        assert same(crowd.population[index], single.population[0], tolerance)
        assert same(crowd.last[index], single.last[0], tolerance)
        ours, theirs = crowd.status[index], single.status[0]
        assert ours["best_epoch"] == theirs["best_epoch"]
        assert ours["best_loss"] == pytest.approx(theirs["best_loss"], abs=tolerance)


@pytest.mark.parametrize("kind", ["dense", "recurrent"])
def test_strategies_agree(crowds, same, kind):
    assert same(crowds[kind, "vmap"][0].last, crowds[kind, "loop"][0].last, 1e-5)


def test_auto_runs_sequences_in_turn_and_small_members_side_by_side(two, recurrent, samples):
    one = {"epochs": 1, "stopping": None}
    assert shoal.fit(two, samples("dense", 8), **one).strategy == "vmap"
    fitted = shoal.fit(Population.init(recurrent, 2), samples("recurrent", 8), **one)
    assert fitted.strategy == "loop"


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_one_structure_is_compiled_once(dense, samples, compilations, strategy):
    population = Population.init(lambda key: dense(key, width=9), 4)
    compiled = []
    traces = []

    def loss(prediction, y, y_mask):
        traces.append(1)
        return (prediction - y) ** 2

    shoal.fit(
        population,
        samples("dense", 33),
        samples("dense", 12),
        loss=loss,
        strategy=strategy,
        on_epoch=lambda info: compiled.append(len(compilations)),
        **QUICK,
    )
    assert compiled == [compiled[0]] * QUICK["epochs"]
    assert len(traces) == 2  # once in the training pass, once in the validation pass


def test_one_member_step_equals_optax_adamw(dense, samples, same):
    x, y = samples("dense", 16)
    population = Population.init(dense, 1)
    fitted = shoal.fit(
        population, (x, y), epochs=3, batch_size=16, learning_rate=0.01, weight_decay=0.1
    )
    member = population[0]
    params, static = eqx.partition(member, eqx.is_inexact_array)
    params = eqx.tree_at(lambda m: m.dropout.rate.value, params, None)
    rest = eqx.combine(static, eqx.filter(member, eqx.is_array))
    optimizer = optax.adamw(0.01, weight_decay=0.1)
    state = optimizer.init(params)

    @jax.jit
    def step(params, state):
        gradients = jax.grad(lambda p: jnp.mean((eqx.combine(p, rest)(x) - y) ** 2))(params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(3):
        params, state = step(params, state)
    assert same(fitted.last[0], eqx.combine(params, rest), 1e-6)


def test_settings_per_member_are_those_members_own(dense, samples, same):
    train = samples("dense", 32)
    rates, decays = np.array([1e-3, 1e-2, 3e-2]), np.array([0.0, 0.1, 0.5])
    drops = np.array([0.0, 0.3, 0.6])
    make = lambda key: dense(key, rate=0.9)  # noqa: E731
    together = shoal.fit(
        Population.init(make, 3),
        train,
        **{**QUICK, "learning_rate": rates},
        weight_decay=decays,
        dropout=drops,
    )
    for i in range(3):
        alone = shoal.fit(
            Population.init(make, 1, 42 + i),
            train,
            **{**QUICK, "learning_rate": rates[i]},
            weight_decay=decays[i],
            dropout=drops[i],
        )
        assert same(together.last[i], alone.last[0], 1e-5)
    assert float(together.population[2].dropout.rate.value) == pytest.approx(0.6)


def test_dropout_is_used_in_training_and_not_trained(dense, samples):
    train = samples("dense", 32)
    one = Population.init(dense, 1)
    runs = [shoal.fit(one, train, dropout=rate, **QUICK) for rate in (0.0, 0.5)]
    losses = [run.history.matrix("train_loss")[0, 0] for run in runs]
    assert losses[0] != losses[1]
    assert float(runs[1].last[0].dropout.rate.value) == 0.5


def test_every_sample_counts_once(two, samples):
    """With a learning rate of 0 an epoch's loss is the mean over all samples, whatever is left."""
    x, y = samples("dense", 37)
    vx, vy = samples("dense", 301)
    population = two
    fitted = shoal.fit(population, (x, y), (vx, vy), **{**QUICK, "learning_rate": 0.0})
    expected = np.asarray(((population(x) - y) ** 2).mean(axis=(1, 2)))
    np.testing.assert_allclose(fitted.history.matrix("train_loss")[1], expected, rtol=1e-5)
    expected = np.asarray(((population(vx) - vy) ** 2).mean(axis=(1, 2)))
    np.testing.assert_allclose(fitted.history.matrix("valid_loss")[1], expected, rtol=1e-5)


def test_masked_targets_count_nowhere(two, samples, same):
    x, y = samples("dense", 20)
    y_mask = np.random.default_rng(0).random(y.shape) < 0.5
    hidden = np.where(y_mask, y, np.nan)

    class Data:
        pass

    def data(y):
        d = Data()
        d.x, d.timespans, d.mask, d.y, d.y_mask = x, None, None, y, y_mask
        return d

    population = two
    a = shoal.fit(population, data(hidden), data(hidden), **QUICK)
    b = shoal.fit(population, data(np.where(y_mask, y, 1e6)), **QUICK)
    assert same(a.last, b.last)
    expected = ((np.asarray(a.last(x)) - y) ** 2)[:, y_mask].mean(axis=1)
    np.testing.assert_allclose(a.history.matrix("valid_loss")[-1], expected, rtol=1e-5)


def test_the_order_is_shared_shuffled_and_reproducible():
    first, again = shuffled(50, 16, 3, 1), shuffled(50, 16, 3, 1)
    np.testing.assert_array_equal(first.rows, again.rows)
    assert (first.rows != shuffled(50, 16, 3, 2).rows).any()
    assert (first.rows != shuffled(50, 16, 4, 1).rows).any()
    assert sorted(first.rows[first.weights > 0]) == list(range(50))


@pytest.mark.parametrize("n", [1, 255, 256, 257, 700])
def test_validation_batches_hold_every_row_once(n):
    order = in_order(n, 256)
    assert sorted(order.rows[order.weights > 0]) == list(range(n))


def test_best_parameters_belong_to_the_best_epoch(dense, samples):
    train, (vx, vy) = samples("dense", 24), samples("dense", 30, seed=5)
    fitted = shoal.fit(
        Population.init(lambda key: dense(key, width=32), 3),
        train,
        (vx, vy),
        epochs=25,
        batch_size=8,
        learning_rate=0.1,
        stopping=None,
    )
    losses = fitted.history.matrix("valid_loss")
    again = np.asarray(((fitted.population(vx) - vy) ** 2).mean(axis=(1, 2)))
    for i, status in enumerate(fitted.status):
        assert status["best_epoch"] == losses[:, i].argmin()
        assert status["best_loss"] == losses[:, i].min()
        assert again[i] == pytest.approx(status["best_loss"], rel=1e-4)
        assert status["final_loss"] == losses[-1, i]
    assert any(s["best_epoch"] < 24 for s in fitted.status)


def test_the_population_given_is_left_alone(dense, samples, same):
    population = Population.init(dense, 2)
    shoal.fit(population, samples("dense", 20), **QUICK)
    assert same(population, Population.init(dense, 2))


def test_unlike_members_train_as_they_would_alone(dense, samples, same):
    wide = lambda key: dense(key, width=12)  # noqa: E731
    train = samples("dense", 30)
    both = shoal.fit(Population.init([dense, wide], 4), train, **QUICK)
    for i, make in enumerate([dense, wide, dense, wide]):
        alone = shoal.fit(Population.init(make, 1, 42 + i), train, **QUICK)
        assert same(both.last[i], alone.last[0], 1e-5)


class Headed(eqx.Module):
    """A linear member that answers a distribution."""

    w: jax.Array
    kind: str = eqx.field(static=True)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        out = x @ self.w
        if self.kind == "normal":
            return Normal(out[:, :1], jax.nn.softplus(out[:, 1:]) + 1e-3)
        return Categorical(out)


@pytest.mark.parametrize("kind", ["normal", "categorical"])
def test_the_loss_follows_from_the_prediction(samples, kind):
    x, y = samples("dense", 120)
    y = y if kind == "normal" else (y[:, 0] > 0).astype(int)
    make = lambda key: Headed(jax.random.normal(key, (3, 2)) * 0.1, kind)  # noqa: E731
    fitted = shoal.fit(Population.init(make, 3), (x, y), **{**QUICK, "epochs": 40})
    losses = fitted.history.matrix("train_loss")
    assert (losses[-1] < losses[0] - 0.05).all()


@pytest.mark.parametrize(
    ("optimizer", "schedule", "rate"),
    [
        ("adam", "cosine", 1e-2),
        ("sgd", "cosine", 0.1),
        ("rmsprop", "constant", 1e-2),
        ("lion", "constant", 5e-3),
        (optax.scale_by_rms(decay=0.95), "constant", 1e-2),
    ],
)
def test_every_optimizer_learns(two, samples, optimizer, schedule, rate):
    fitted = shoal.fit(
        two,
        samples("dense", 64),
        epochs=15,
        batch_size=16,
        learning_rate=rate,
        optimizer=optimizer,
        schedule=schedule,
        warmup_epochs=2,
        clip_norm=1.0,
    )
    losses = fitted.history.matrix("train_loss")
    assert (losses[-1] < 0.8 * losses[0]).all()


def test_a_loss_per_sample_or_per_batch_is_the_same(two, samples, same):
    def each(prediction, y, y_mask):
        return (prediction - y) ** 2

    def whole(prediction, y, y_mask):
        return jnp.sum((prediction - y) ** 2 * y_mask) / jnp.sum(y_mask)

    population, train = two, samples("dense", 37)
    fits = [shoal.fit(population, train, loss=f, **QUICK).last for f in (each, whole, "mse", None)]
    for other in fits[1:]:
        assert same(fits[0], other, 1e-6)


def test_a_loss_that_averages_outputs_is_weighted_by_sample():
    class Two(eqx.Module):
        def __call__(self, x, timespans=None, *, mask=None, key=None):
            return x

    x = jnp.array([[1.0, 1.0], [2.0, 2.0], [50.0, 50.0]])
    batch = as_samples((np.asarray(x), np.zeros((3, 2), np.float32)), "train")
    loss, weight = batch_loss(
        lambda p, y, m: ((p - y) ** 2).mean(axis=1), Two(), batch, jnp.array([1.0, 1.0, 0.0]), None
    )
    assert float(loss) == pytest.approx(2.5)
    assert float(weight) == 4.0


def test_projected_constraints_hold_after_every_step(samples):
    class Bounded(eqx.Module):
        w: jax.Array

        def __call__(self, x, timespans=None, *, mask=None, key=None):
            return x @ self.w

        def constrained(self):
            return eqx.tree_at(lambda m: m.w, self, jnp.clip(self.w, 0.0, 0.05))

    make = lambda key: Bounded(jax.random.uniform(key, (3, 1), maxval=0.05))  # noqa: E731
    fitted = shoal.fit(Population.init(make, 2), samples("dense", 40), **QUICK)
    w = np.asarray(fitted.last.groups[0].members.w)
    assert w.min() >= 0
    assert w.max() == np.float32(0.05)


def test_history_has_a_row_per_epoch_and_member(dense, samples, tmp_path):
    fitted = shoal.fit(
        Population.init(dense, 3), samples("dense", 20), samples("dense", 9), **QUICK
    )
    frame = fitted.history.to_frame()
    names = "epoch member seed train_loss valid_loss diversity aux_loss total_loss"
    assert list(frame.columns) == [*names.split(), "learning_rate", "status", "seconds"]
    assert (frame.total_loss == frame.train_loss).all()
    assert len(frame) == 12
    assert set(frame.seed) == {42, 43, 44}
    fitted.history.to_parquet(tmp_path / "history.parquet")
    import pandas as pd

    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "history.parquet"), frame)


def test_on_epoch_is_told_the_state(two, samples):
    told = []
    shoal.fit(two, samples("dense", 20), on_epoch=told.append, **QUICK)
    assert [info.epoch for info in told] == [0, 1, 2, 3]
    assert told[-1].status == ["active", "active"]
    assert told[-1].active.all()
    assert np.isfinite(told[-1].train_loss).all()
    assert np.isnan(told[-1].valid_loss).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"data_seed": -1}, "`data_seed` must not be negative"),
        ({"learning_rate": [1e-3, 1e-3, 1e-3]}, r"`learning_rate` must be a number or \(2,\)"),
        ({"learning_rate": -1.0}, "`learning_rate` must be finite and not negative"),
        ({"dropout": 1.0}, "`dropout` must lie in"),
        ({"optimizer": "adma"}, "`optimizer` must be one of adam"),
        ({"schedule": "cosin"}, "`schedule` must be one of constant"),
        ({"loss": "rmse"}, "`loss` must be one of mse"),
        ({"strategy": "pmap"}, "`strategy` must be"),
        ({"clip_norm": 0.0}, "`clip_norm` must be positive"),
        ({"patience": 0}, "`patience` must be at least 1"),
    ],
)
def test_wrong_arguments_are_refused(two, samples, arguments, message):
    with pytest.raises(ValueError, match=message):
        shoal.fit(two, samples("dense", 8), **arguments)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda x, y: (x, y[:-1]), "must have 10 samples like x, but y has 9"),
        (lambda x, y: (x, np.where(y > 0, y, np.nan)), "y must be finite"),
        (lambda x, y: (np.where(x > 0, x, np.inf), y), "x must be finite"),
        (lambda x, y: (x[:0], y[:0]), "at least one sample"),
        (lambda x, y: (x, y[:, 0]), "predictions must have the shape of y"),
        (lambda x, y: (x,), r"must be \(x, y\)"),
        (lambda x, y: 3, "needs both x and y"),
    ],
)
def test_wrong_data_is_refused(two, samples, data, message):
    with pytest.raises(ValueError, match=message):
        shoal.fit(two, data(*samples("dense", 10)), epochs=1)
