"""The swarm as an Optuna sampler: Optuna's own suite, and what only a swarm promises."""

import numpy as np
import optuna
import pytest
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from shoal.swarm import SwarmSampler

optuna.logging.set_verbosity(optuna.logging.ERROR)


class TestOptunasOwn(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """Every test that Optuna has for single-objective samplers."""

    @pytest.fixture
    def sampler(self):
        return lambda: SwarmSampler(n_particles=4)


def bowl(trial) -> float:
    x = [trial.suggest_float(f"x{i}", -5, 5) for i in range(3)]
    rate = trial.suggest_float("rate", 1e-5, 1e-1, log=True)
    kind = trial.suggest_categorical("kind", ["good", "bad"])
    return sum(v * v for v in x) + np.log10(rate / 1e-3) ** 2 + (kind == "bad")


def study_of(sampler, objective, n_trials, direction="minimize", storage=None):
    study = optuna.create_study(sampler=sampler, direction=direction, storage=storage)
    study.optimize(objective, n_trials=n_trials)
    return study


def test_it_finds_more_than_random_search():
    found = [study_of(SwarmSampler(8, seed=s), bowl, 120).best_value for s in range(3)]
    random = [
        study_of(optuna.samplers.RandomSampler(seed=s), bowl, 120).best_value for s in range(3)
    ]
    assert np.median(found) < 0.25 * np.median(random)


def test_maximising_is_minimising_the_negative():
    def flipped(trial):
        return -bowl(trial)

    low = study_of(SwarmSampler(4, seed=1), bowl, 30)
    high = study_of(SwarmSampler(4, seed=1), flipped, 30, direction="maximize")
    assert [t.params for t in low.trials] == [t.params for t in high.trials]


def test_a_new_process_goes_on_where_the_study_was(tmp_path):
    """What a particle knows lies in the storage: several samplers by turns are one."""
    whole = study_of(SwarmSampler(4, seed=2), bowl, 21)
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log"))
    storage = optuna.storages.JournalStorage(backend)
    for n_trials in (1, 9, 11):
        study = optuna.create_study(
            storage=storage,
            study_name="one",
            load_if_exists=True,
            sampler=SwarmSampler(4, seed=2),
        )
        study.optimize(bowl, n_trials=n_trials)
    assert [t.params for t in study.trials] == [t.params for t in whole.trials]


def test_a_batch_takes_one_trial_of_every_particle():
    study = optuna.create_study(sampler=SwarmSampler(5, seed=0))
    study.optimize(bowl, n_trials=1)
    for round_ in range(3):
        trials = [study.ask() for _ in range(5)]
        values = [bowl(trial) for trial in trials]
        attributes = [t.system_attrs for t in study.trials[-5:]]
        assert sorted(a["swarm"]["particle"] for a in attributes) == list(range(5)), round_
        for trial, value in zip(trials, values, strict=True):
            study.tell(trial, value)


def test_a_place_that_fails_is_not_tried_for_ever():
    def failing(trial):
        if trial.number:
            trial.suggest_float("x", 0, 1)
            raise RuntimeError("no")
        return trial.suggest_float("x", 0, 1)

    study = optuna.create_study(sampler=SwarmSampler(2, seed=0))
    study.optimize(failing, n_trials=13, catch=RuntimeError)
    places = [t.params["x"] for t in study.trials[1:]]
    assert len(set(places)) > 6


@pytest.mark.parametrize("before", [0, 9])
def test_trials_from_elsewhere_are_heard(before):
    """An enqueued optimum draws the particles to it; without it these stay far."""

    def objective(trial):
        return sum((trial.suggest_float(f"x{i}", 0, 1) - 0.123) ** 2 for i in range(3))

    study = optuna.create_study(sampler=SwarmSampler(4, seed=0))
    study.optimize(objective, n_trials=before)
    study.enqueue_trial({f"x{i}": 0.123 for i in range(3)})
    study.optimize(objective, n_trials=121)
    assert study.trials[before].value == 0
    assert np.median([t.value for t in study.trials[-20:]]) < 5e-3


@pytest.mark.parametrize("wrong", [{"n_particles": 0}, {"velocity_limit": 0.0}])
def test_refusals(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SwarmSampler(**wrong)
