"""The search with functions and arrays: methods, studies that go on, mistakes of users."""

import warnings

import numpy as np
import optuna
import pytest

from shoal.tune import Choice, Float, Integer, search
from shoal.tune.methods import METHODS, batch_size, settled
from shoal.tune.results import Result
from shoal.tune.space import Space
from shoal.tune.storage import in_memory, journal, new_study
from shoal.tune.study import RETRY, Search, recover, tell

SPACE = {"learning_rate": Float(1e-3, 1e-1, log=True), "weight_decay": [0.0, 0.1]}
QUICK = {"epochs": 3, "batch_size": 24}


def fake(points, before):
    """What an engine would answer: the distance from 0.01, at once."""
    for place, point in enumerate(points):
        loss = abs(np.log10(point["learning_rate"]) + 2)
        yield place, Result("complete", (loss,), curve={1: loss + 1, 3: loss}, losses=(loss,))


def searched(study, trials=12, method="tpe", batch=4, **options):
    asked = Search(study, Space(SPACE), settled(method), trials, batch, **options)
    if method == "grid" and not study.get_trials():
        asked.enqueue()
    asked.run(fake)
    return [trial.params for trial in study.get_trials()]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_better_half(method, dense, data):
    found = search(dense, *data, space=SPACE, method=method, trials=6, **QUICK)
    assert len(found.trials) == 6
    assert {one.state for one in found.trials} <= {"complete", "pruned"}
    assert found.best.values["loss"] == min(one.values["loss"] for one in found.ranked)
    assert list(found.table()["trial"]) == [0, 1, 2, 3, 4, 5]
    assert found.study.best_trial.number == found.best.number


@pytest.mark.parametrize("method", ["random", "tpe", "swarm", "grid"])
def test_a_search_that_was_cut_off_goes_on_as_it_would_have(method):
    whole = searched(in_memory(("loss",), ("minimize",)), method=method)
    study = in_memory(("loss",), ("minimize",))
    cut = Search(study, Space(SPACE), settled(method), 12, 4)
    if method == "grid":
        cut.enqueue()
    for _ in range(2):
        asked = cut.ask(4)
        for place, result in fake([cut.space.suggest(trial) for trial in asked], {}):
            tell(study, asked[place], result)
    assert searched(study, method=method) == whole
    assert len(whole) == {"grid": 10}.get(method, 12)


def test_learning_methods_leave_bad_values(dense):
    for method, share in (("tpe", 0.5), ("swarm", 0.8)):
        study = in_memory(("loss",), ("minimize",))
        rates = [one["learning_rate"] for one in searched(study, 48, method, seed=1)]
        miss = np.abs(np.log10(rates) + 2)
        assert miss[-16:].mean() < share * miss[:16].mean(), method


def test_parameters_that_training_does_not_know_make_the_member(dense, data):
    space = {"width": Integer(4, 5), "seed": [1, 2]}
    found = search(
        dense, *data, space=space, method="grid", metrics=("loss", "parameters"), epochs=1
    )
    assert len(found.trials) == 4
    numbers = {one.point["width"]: one.values["parameters"] for one in found.trials}
    assert numbers == {4: 21, 5: 26}
    assert len({one.values["loss"] for one in found.trials}) == 4


def test_the_front_of_several_objectives(dense, data):
    space = {"width": [4, 5], "learning_rate": [1e-4, 3e-2]}
    asked = ("loss", "parameters")
    found = search(dense, *data, space=space, method="grid", metrics=asked, **QUICK)
    points = {(one.values["loss"], one.values["parameters"]) for one in found.front}
    beaten = {(one.values["loss"], one.values["parameters"]) for one in found.ranked} - points
    for loss, count in beaten:
        assert any(a <= loss and b <= count for a, b in points)
    assert {trial.number for trial in found.study.best_trials} == {t.number for t in found.front}


def test_one_trial_s_mistake_is_its_own(dense, data):
    def make(key, width):
        if width == 5:
            raise RuntimeError("five is right out")
        return dense(key, width)

    found = search(make, *data, space={"width": [4, 5]}, method="grid", **QUICK)
    assert [one.state for one in found.trials] == ["complete", "failed"]
    assert found.first_cause == "trial 1: RuntimeError: five is right out"


def test_a_search_in_which_all_fail_says_why(dense, data):
    def wrong(p, y, mask):
        raise KeyError("y")

    found = search(dense, *data, space=SPACE, trials=2, metrics=(wrong,), **QUICK)
    with pytest.raises(ValueError, match="trial 0: wrong: KeyError: 'y'"):
        _ = found.best


def test_lost_trials_are_done_again_and_not_counted_twice(tmp_path):
    def opened():
        return new_study(journal(tmp_path / "study.journal"), "s", ("loss",), ("minimize",))

    study = opened()
    asked = Search(study, Space(SPACE), settled("random"), 6, 3)
    trials = asked.ask(3)
    points = [asked.space.suggest(trial) for trial in trials]
    tell(study, trials[1], Result("complete", (0.5,)))  # then the worker dies
    again = opened()
    assert recover(again, again.get_trials()) == [0, 2]
    asked = Search(again, Space(SPACE), settled("random"), 6, 3)
    assert asked.left() == 5
    told = []
    asked.run(fake, lambda trial, result: told.append(trial))
    assert asked.left() == 0
    replaced = {t.user_attrs[RETRY]: t.params for t in told if RETRY in t.user_attrs}
    assert replaced == {0: points[0], 2: points[2]}
    states = [trial.state.name for trial in again.get_trials()]
    assert states == ["FAIL", "COMPLETE", "FAIL"] + ["COMPLETE"] * 5


def test_a_trial_that_is_lost_twice_is_replaced_once(tmp_path):
    study = in_memory(("loss",), ("minimize",))
    asked = Search(study, Space(SPACE), settled("random"), 2, 2)
    for _ in range(2):
        asked.ask(2)
        recover(study, study.get_trials())
    assert asked.left() == 2
    asked.run(fake)
    assert [t.state.name for t in study.get_trials()].count("COMPLETE") == 2


def test_asha_hears_of_earlier_batches(dense, data):
    space = {"learning_rate": Choice([0.03, 3e-5, 2e-5, 1e-5])}
    found = search(
        dense,
        *data,
        space=space,
        batch=1,
        method={"kind": "asha", "sampler": "grid", "eta": 2},
        **QUICK,
    )
    assert [one.state for one in found.trials] == ["complete", "pruned", "pruned", "pruned"]


def test_optuna_s_own_tools_read_the_study(dense, data):
    found = search(dense, *data, space=SPACE, trials=6, method="random", **QUICK)
    importances = optuna.importance.get_param_importances(found.study)
    assert set(importances) == set(SPACE)
    frame = found.study.trials_dataframe()
    assert list(frame["params_learning_rate"]) == list(found.table()["learning_rate"])
    assert all(trial.intermediate_values for trial in found.study.trials)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "bayes"}, "must be one of grid, random"),
        ({"method": {"kind": "asha", "eta": 1}}, "greater than or equal to 2"),
        ({"space": {}}, "at least one dimension"),
        ({"metrics": ("parameters", "loss"), "valid": None}, "nothing to compare trials by"),
        ({"space": {"learning_rat": [1]}, "trials": 1}, ""),
    ],
)
def test_what_cannot_be(dense, data, options, message):
    arguments = {"space": SPACE, "trials": 1, "valid": data[1], **QUICK, **options}
    if message:
        with pytest.raises(ValueError, match=message):
            search(dense, data[0], **arguments)
        return
    found = search(dense, data[0], **arguments)  # a name that `make` does not take
    assert "unexpected keyword argument 'learning_rat'" in found.first_cause


def test_batches():
    assert batch_size(settled("tpe"), 100) == 25
    assert batch_size(settled("halving"), 100) == 64


class Odd(optuna.pruners.BasePruner):
    """Ends every other trial after its second report."""

    def prune(self, study, trial):
        return trial.number % 2 == 1 and trial.last_step == 2


def test_a_study_s_own_sampler_and_pruner(dense, data):
    fixed, rest = {"learning_rate": 0.01}, optuna.samplers.RandomSampler(seed=0)
    with warnings.catch_warnings(action="ignore"):  # Optuna calls it experimental
        sampler = optuna.samplers.PartialFixedSampler(fixed, rest)
    study = optuna.create_study(sampler=sampler, pruner=Odd())
    study.ask()  # somebody else's, never told
    space = {"learning_rate": Float(1e-3, 3e-2), "seed": Integer(0, 9)}
    found = search(dense, *data, space=space, trials=5, method="study", study=study, **QUICK)
    own = [one for one in found.trials if one.number > 0]
    assert study.sampler is sampler
    assert [one.point["learning_rate"] for one in own] == [0.01] * 4
    assert [one.state for one in own] == ["pruned", "complete"] * 2
    assert [one.facts["epochs"] for one in own] == [2, 3, 2, 3]
    for trial in study.trials[1:]:
        seen = list(trial.intermediate_values.values())
        assert len(seen) == (2 if trial.number % 2 else 3)
        assert np.isfinite(seen).all()
    assert own[0].facts["reason"] == "pruned after 2 epochs"


def test_a_study_s_method_needs_the_study(dense, data):
    with pytest.raises(ValueError, match="none is given; set `study="):
        search(dense, *data, space=SPACE, method="study")
