"""Halving decides as the papers say, and what it ends costs nothing any more."""

import equinox as eqx
import jax
import numpy as np
import pytest

from shoal.population.stopping import DIVERGED, EARLY, STOPPED, Ledger
from shoal.tune.candidates import Candidate
from shoal.tune.engine import compete
from shoal.tune.halving import Halving, rungs
from shoal.tune.scoring import Rows


def ledger_of(losses):
    ledger = Ledger.start(len(losses))
    ledger.best_loss[:] = losses
    return ledger


def ended(rule, ledger, epoch):
    return sorted(member for member, _ in rule.ends(ledger, epoch))


def test_only_at_the_rungs():
    rule = Halving((3, 9))
    assert ended(rule, ledger_of([1.0, 2.0, 3.0]), epoch=1) == []
    assert ended(rule, ledger_of([1.0, 2.0, 3.0]), epoch=2) == [1, 2]


def test_one_of_eta_goes_on_rounded_up():
    losses = [5.0, 1.0, 4.0, 2.0, 3.0, 6.0, 7.0]
    assert ended(Halving((1,), eta=3), ledger_of(losses), 0) == [0, 2, 5, 6]


def test_the_last_loss_counts_where_no_best_parameters_are_known_yet():
    ledger = ledger_of([np.inf, np.inf, 1.0])
    ledger.last_loss[:] = [2.0, 3.0, 9.0]  # without validation, an epoch after the first
    assert ended(Halving((1,), eta=3), ledger, 0) == [0, 1]


def test_a_trial_is_judged_by_the_mean_of_its_members():
    rule = Halving((1,), eta=2, owner=(0, 0, 1, 1))
    assert ended(rule, ledger_of([0.1, 9.0, 2.0, 3.0]), 0) == [0, 1]


def test_those_that_diverged_do_not_count_and_those_that_are_done_do():
    ledger = ledger_of([1.0, 2.0, np.inf, 3.0])
    ledger.code[2], ledger.code[0] = DIVERGED, EARLY
    assert ended(Halving((1,), eta=3), ledger, 0) == [1, 3]
    assert ledger.code[0] == EARLY


def test_asha_counts_what_earlier_trials_reached():
    before = {1: (0.1, 0.2, 0.3, 0.4)}
    assert ended(Halving((1,), eta=3, before=before), ledger_of([0.15, 0.5]), 0) == [1]
    assert ended(Halving((1,), eta=3, before=before), ledger_of([0.25, 0.5]), 0) == [0, 1]


def test_rungs_lie_below_the_last_epoch():
    assert rungs(81, 3) == (3, 9, 27)
    assert rungs(10, 2, 5) == (5,)
    assert rungs(5, 2, 5) == ()


class Counted(eqx.Module):
    """A member that tells the host of every pass over a batch."""

    w: jax.Array

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        jax.debug.callback(lambda w: CALLS.append(1), self.w)
        return x @ self.w


CALLS = []


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_the_work_of_ended_trials_is_not_done(strategy):
    x = np.ones((4, 2), np.float32)
    rates = [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07]
    own = [
        Candidate("w", lambda key: Counted(jax.numpy.zeros((2, 1))), learning_rate=rate)
        for rate in rates
    ]
    counts = []

    def count(info):
        jax.effects_barrier()
        counts.append(len(CALLS))
        CALLS.clear()

    CALLS.clear()
    contest = compete(
        own,
        Rows((x, x[:, :1]), (x[:1], x[:1, :1])),
        halving=Halving((1, 2), eta=2),
        epochs=4,
        batch_size=4,
        strategy=strategy,
        optimizer="sgd",
        on_epoch=count,
    )
    assert [sum(r.state == s for r in contest.results) for s in ("complete", "pruned")] == [2, 6]
    assert counts == [16, 8, 4, 4]  # a batch to train and one to validate, per member and epoch
    assert [r.epochs for r in contest.results] == [1, 1, 1, 1, 2, 2, 4, 4]
    assert contest.fitted.status[0]["status"] == "stopped"
    assert STOPPED in contest.fitted.history.matrix("code")
    assert "best 1/2 after 1 epochs" in contest.results[0].reason
