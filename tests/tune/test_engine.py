"""A trial trained beside others is the trial trained alone; its mistakes are its own."""

import jax
import numpy as np
import pytest

import shoal
from shoal.population import Population
from shoal.tune.candidates import Candidate, lineup
from shoal.tune.engine import compete
from shoal.tune.scoring import Rows

COMMON = {"epochs": 4, "batch_size": 16}


@pytest.fixture(scope="module")
def crowd(dense):
    """Candidates of two structures, no two of them alike."""

    def wide(key):
        return dense(key, width=9)

    return [
        Candidate("narrow", dense, (3,), learning_rate=0.01),
        Candidate("wide", wide, (3,), learning_rate=0.03, dropout=0.2),
        Candidate("narrow", dense, (3,), learning_rate=0.03, weight_decay=0.1),
        Candidate("narrow", dense, (4, 5), learning_rate=0.01, dropout=0.4),
    ]


@pytest.fixture(scope="module")
def contest(crowd, data):
    return compete(crowd, Rows(*data), metrics=("loss", "rmse", "parameters"), points=2, **COMMON)


def test_a_trial_in_a_crowd_is_the_trial_alone(contest, crowd, data):
    for trial in (1, 3):
        own = crowd[trial]
        losses = []
        for seed in own.seeds:
            fitted = shoal.fit(
                Population.init(own.make, 1, seed),
                *data,
                learning_rate=own.learning_rate,
                weight_decay=own.weight_decay,
                dropout=own.dropout,
                stopping=None,
                **COMMON,
            )
            losses.append(fitted.status[0]["best_loss"])
        np.testing.assert_allclose(contest.results[trial].losses, losses, rtol=1e-4)
        assert contest.results[trial].values[0] == pytest.approx(np.mean(losses), rel=1e-4)


def test_members_of_equal_structure_are_one_group(contest):
    assert [group.size for group in contest.fitted.population.groups] == [4, 1]
    assert contest.owner == (0, 1, 2, 3, 3)


def test_figures_of_a_trial(contest, data):
    (x, y), one = data[1], contest.results[0]
    answer = contest.fitted.population.member(0)(x)
    assert one.values[0] == pytest.approx(float(((answer - y) ** 2).mean()), rel=1e-4)
    assert one.values[1] == pytest.approx(one.values[0] ** 0.5, rel=1e-4)
    assert one.values[2] == 3 * 6 + 6 + 6 + 1
    assert one.curve.keys() == {2, 4}
    assert one.epochs == 4
    assert contest.results[3].epochs == 8
    assert all(one.seconds > 0 for one in contest.results)


def test_members_that_begin_alike_are_made_once(crowd):
    nursery = {}
    population, _ = lineup(crowd, nursery)
    assert set(nursery) == {("narrow", 3), ("wide", 3), ("narrow", 4), ("narrow", 5)}
    first, third = (jax.tree.leaves(population.member(i)) for i in (0, 2))
    assert all((a == b).all() for a, b in zip(first[:4], third[:4], strict=True))


def test_another_batch_of_the_same_shape_compiles_nothing(crowd, data, compilations):
    nursery = {}
    compete(crowd, Rows(*data), nursery=nursery, **COMMON)
    before = len(compilations)
    others = [one._replace(learning_rate=0.005, weight_decay=0.3) for one in crowd]
    compete(others, Rows(*data), nursery=nursery, **COMMON)
    assert len(compilations) == before


def test_a_trial_that_diverges_fails_by_name_and_the_others_go_on(dense, data):
    own = [Candidate("d", dense, learning_rate=rate) for rate in (0.01, 1e30)]
    fine, lost = compete(own, Rows(*data), **COMMON).results
    assert fine.state == "complete"
    assert (lost.state, lost.values) == ("failed", None)
    assert "not finite" in lost.reason


def test_metrics_that_raise_or_are_nan_fail_the_trial(dense, data):
    def broken(p, y, y_mask):
        raise ZeroDivisionError("oh")

    def nothing(p, y, y_mask):
        return float("nan")

    for metric, reason in ((broken, "broken: ZeroDivisionError: oh"), (nothing, "nothing: is nan")):
        own = [Candidate("d", dense)]
        (result,) = compete(own, Rows(*data), metrics=("loss", metric), **COMMON).results
        assert (result.state, result.reason) == ("failed", reason)


def test_folds_are_answered_by_those_trained_without_them(dense, data):
    from shoal.data.folds import make_folds

    (x, y), options = data[0], {"epochs": 3, "batch_size": 48}
    folds = {"folds": 2, "order": "shuffled"}
    found = compete([Candidate("d", dense, (1,))], Rows(*data), folds=folds, **options)
    errors = []
    for fold in make_folds(Rows(data[0]).raw("train"), 2, order="shuffled"):
        # batches of all rows, since those that do not count are then of no consequence
        part = (x[fold.train], y[fold.train])
        fitted = shoal.fit(Population.init(dense, 1, 1), part, data[1], stopping=None, **options)
        answer = np.asarray(fitted.population.member(0)(x[fold.test]))
        errors.append((answer - y[fold.test]) ** 2)
    expected = float(np.concatenate(errors).mean())
    assert found.results[0].values[0] == pytest.approx(expected, rel=1e-3)


def test_halving_and_folds_go_together(dense, data):
    from shoal.tune.halving import Halving

    rates = (1e-5, 1e-2, 1e-4)
    own = [Candidate("d", dense, learning_rate=rate) for rate in rates]
    rule = Halving((1,), eta=3)
    found = compete(own, Rows(*data), folds={"folds": 2}, halving=rule, **COMMON).results
    assert [one.state for one in found] == ["pruned", "complete", "pruned"]
    assert [one.epochs for one in found] == [2, 8, 2]
