"""Who is stopped, and who is not."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import shoal
from shoal.population import Population, Stopping
from shoal.population.stopping import (
    ACTIVE,
    DIVERGED,
    EARLY,
    STOPPED,
    Ledger,
    behind,
    judge,
    spread,
)


def play(epochs, stopping=None, patience=None):
    """Enters rows of losses; a NaN is a member that diverges."""
    epochs = np.asarray(epochs, float)
    ledger = Ledger.start(epochs.shape[1])
    for epoch, scores in enumerate(epochs):
        judge(ledger, epoch, scores, np.isfinite(scores), stopping, patience)
    return ledger


def test_spread_is_robust_and_at_least_median_minus_best():
    normal = np.random.default_rng(0).normal(10, 1, 10_000)
    assert spread(normal[normal > 9.5]) < 1.5
    assert spread(np.array([0.0, 1.0, 1.0, 1.0])) == 1.0  # MAD is 0
    assert spread(np.array([1.0, 1.1, 1.2, 1e9])) == pytest.approx(0.15)  # not the outlier's


def test_behind_is_more_than_sigma_spreads_from_the_best():
    losses = np.array([1.0, 1.1, 1.2, 1.3, 2.0, np.nan])
    limit = 1.0 + 2 * spread(losses[:5])
    np.testing.assert_array_equal(behind(losses, 2.0), losses > limit)
    assert behind(losses, 2.0).tolist() == [False, False, False, False, True, False]


def test_equal_losses_stop_nobody():
    assert not behind(np.full(8, 0.3), 2.0).any()
    assert not behind(np.array([0.3] * 7 + [np.nextafter(np.float32(0.3), 1)]), 2.0).any()


def test_a_straggler_is_stopped_after_warmup_and_patience():
    row = [1.0, 1.1, 1.2, 1.3, 9.0]
    rule = Stopping(warmup=4, patience=3)
    for epochs, code in ((6, ACTIVE), (7, STOPPED)):
        assert play([row] * epochs, rule).code.tolist() == [ACTIVE] * 4 + [code]
    ledger = play([row] * 12, rule)
    assert ledger.end_epoch[4] == 6
    assert "2 spreads behind the best for 3 epochs" in ledger.reasons[4]


def test_patience_asks_for_epochs_in_a_row():
    bad, good = [1.0, 1.1, 1.2, 1.3, 9.0], [1.0, 1.1, 1.2, 1.3, 1.4]
    rule = Stopping(warmup=0, patience=3)
    assert play([bad, bad, good, bad, bad], rule).code[4] == ACTIVE


def test_stopped_members_count_with_their_last_loss():
    """Without them the spread would shrink and the next member would look bad: a cascade."""
    row = [1.0, 1.05, 1.1, 1.3, 1.5, 1.55, 9.0]
    ledger = play([row] * 30, Stopping(warmup=0, patience=1))
    alone = behind(np.array([1.0, 1.05, 1.1]), 2.0)
    assert ledger.code.tolist() == [ACTIVE] * 6 + [STOPPED]
    assert not alone.any()
    kept = np.array(row)
    np.testing.assert_array_equal(ledger.last_loss, kept)


def test_the_rule_is_off_below_four_members_unless_asked():
    row = [1.0, 1.1, 9.0]
    assert (play([row] * 20, Stopping(warmup=0)).code == ACTIVE).all()
    assert play([row] * 20, Stopping(warmup=0, min_members=2)).code[2] == STOPPED


def test_diverged_members_are_in_no_statistics():
    row = [1.0, 1.1, 1.2, 1.25, np.nan]
    ledger = play([row] * 20, Stopping(warmup=0, patience=1))
    assert ledger.code.tolist() == [ACTIVE] * 4 + [DIVERGED]
    assert ledger.end_epoch[4] == 0
    assert "epoch 1" in ledger.reasons[4]


def test_early_stopping_is_per_member():
    improving, stuck = np.linspace(2, 1, 10), np.full(10, 1.5)
    ledger = play(np.stack([improving, stuck], axis=1), patience=4)
    assert ledger.code.tolist() == [ACTIVE, EARLY]
    assert ledger.end_epoch[1] == 4
    assert ledger.best_epoch.tolist() == [9, 0]


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_stops_few(seed):
    """64 members whose losses differ by luck only, and wobble from epoch to epoch."""
    rng = np.random.default_rng(seed)
    level = rng.normal(1.0, 0.1, 64)
    epochs = [level + rng.normal(0, 0.03, 64) for _ in range(60)]
    assert (play(epochs, Stopping()).code == ACTIVE).sum() >= 60


@pytest.fixture(scope="module")
def healthy(dense, samples):
    return shoal.fit(
        Population.init(lambda key: dense(key, width=16), 64),
        samples("dense", 200),
        samples("dense", 100, seed=1),
        epochs=40,
        batch_size=20,
        learning_rate=3e-3,
        stopping=Stopping(),
    )


def test_a_healthy_population_of_64_keeps_60(healthy):
    assert sum(s["status"] == "finished" for s in healthy.status) >= 60


def test_hopeless_members_are_stopped_and_cost_no_more(dense, samples, compilations):
    rates = np.full(16, 1e-3)
    hopeless = [2, 3, 5, 7, 8, 11, 12, 13]  # these learn nothing
    rates[hopeless] = 0.0
    sizes = []
    fits = {}
    for strategy in ("vmap", "loop"):
        compiled = []
        fits[strategy] = shoal.fit(
            Population.init(dense, 16),
            samples("dense", 100),
            samples("dense", 30),
            epochs=40,
            batch_size=20,
            learning_rate=rates,
            strategy=strategy,
            patience=6,
            stopping=None,
            on_epoch=lambda info, c=compiled: c.append(len(compilations)),
        )
        sizes.append(compiled[-1] - compiled[0])
        status = fits[strategy].status
        assert all(status[i]["status"] == "early" and status[i]["epochs"] == 7 for i in hopeless)
        assert all(s["epochs"] == 40 for s in status if s["index"] not in hopeless)
    assert sizes == [1, 0]  # one compaction to 8; none when members go in turn
    both = [jax.tree.leaves(eqx.filter(f.population, eqx.is_array)) for f in fits.values()]
    for a, b in zip(*both, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_members_in_turn_compute_only_while_active(dense, samples):
    computed = []

    def loss(prediction, y, y_mask):
        jax.debug.callback(lambda: computed.append(1))
        return (prediction - y) ** 2

    fitted = shoal.fit(
        Population.init(dense, 3),
        samples("dense", 10),
        samples("dense", 10),
        loss=loss,
        epochs=9,
        learning_rate=[0.0, 1e-3, 0.0],
        patience=2,
        strategy="loop",
    )
    jax.effects_barrier()
    assert [s["epochs"] for s in fitted.status] == [3, 9, 3]
    assert len(computed) == 2 * (3 + 9 + 3)  # a training and a validation batch per epoch


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_a_member_that_diverges_poisons_nobody(dense, samples, same, strategy):
    rates = np.array([1e-2, 1e30, 1e-2, 1e-2, 1e-2])
    train, valid = samples("dense", 40), samples("dense", 20)
    quick = {"epochs": 6, "batch_size": 20, "strategy": strategy}
    fitted = shoal.fit(Population.init(dense, 5), train, valid, learning_rate=rates, **quick)
    bad = fitted.status[1]
    assert bad["status"] == "diverged"
    assert "epoch 1" in bad["reason"]
    assert not bad["usable"]
    assert bad["best_loss"] is None
    assert bad["final_loss"] is None
    assert np.isnan(np.asarray(fitted.population[1](train[0]))).all()
    assert float(fitted.population[1].dropout.rate.value) == 0.0  # what is not trained stays
    assert fitted.usable == [0, 2, 3, 4]
    healthy = shoal.fit(Population.init(dense, 5), train, valid, learning_rate=1e-2, **quick)
    for i in fitted.usable:
        assert same(fitted.population[i], healthy.population[i])


def test_a_member_that_diverges_late_keeps_its_best(samples):
    class Explosive(eqx.Module):
        """Answers NaN once its weight has grown past 1."""

        w: jax.Array

        def __call__(self, x, timespans=None, *, mask=None, key=None):
            return jnp.where(self.w > 1.0, jnp.nan, self.w) * jnp.ones((x.shape[0], 1))

    x = np.zeros((8, 3), np.float32)
    fitted = shoal.fit(
        Population.init(lambda key: Explosive(jnp.zeros(())), 1),
        (x, np.full((8, 1), 3.0, np.float32)),
        epochs=20,
        learning_rate=0.3,
    )
    status = fitted.status[0]
    assert status["status"] == "diverged"
    assert status["usable"]
    assert status["best_epoch"] == fitted.history.epochs - 3  # the last whose loss was finite
    assert 0 < float(fitted.population[0].w) <= 1.0
    assert status["best_loss"] == pytest.approx((float(fitted.population[0].w) - 3) ** 2)


@pytest.mark.parametrize(
    "arguments", [{"sigma": 0.0}, {"warmup": -1}, {"patience": 0}, {"min_members": 1}]
)
def test_wrong_rules_are_refused(arguments):
    with pytest.raises(ValueError, match=f"`stopping.{next(iter(arguments))}` must be"):
        Stopping(**arguments)
