"""Many workers on one study: nothing is lost and nothing counts twice, whoever dies when.

`where` is the address of the study; `test_postgres.py` runs all of this against a server too.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace as replaced
from pathlib import Path
from threading import Thread

import pandas as pd
import pytest

from shoal.run import Refused
from shoal.tune.counting import ENDED, KNOWN, LOST, RETRY, SURPLUS, Book, kept_trials
from shoal.tune.joining import join
from shoal.tune.methods import settled
from shoal.tune.results import Result
from shoal.tune.space import Space
from shoal.tune.storage import new_study, shared
from shoal.tune.study import Search, tell
from shoal.tune.takeover import claim, end, recover, replace
from shoal.tune.workers import Worker

SHOAL = Path(sys.executable).with_name("shoal")
SPACE = {"x": list(range(8)), "seed": [0, 1]}
FIGURE = """
import os, time
from pathlib import Path
def figure(prediction, y, y_mask):
    if name := os.environ.get("HANGS"):
        Path(name).touch()
        time.sleep(600)
    return abs(prediction.mean - y)[y_mask].mean()
"""


@pytest.fixture
def where(tmp_path):
    """The address of a study that nobody else has."""
    return str(tmp_path / "study.journal")


@pytest.fixture
def study(where, request):
    """Makes a connection to the study, as every process has one."""
    return lambda: new_study(shared(where), request.node.name, ("loss",), ("minimize",))


def worker(study, trials=6, batch=2, method="random", grace=60.0, former=()):
    """A search by a worker whose signs of life the test gives."""
    own = Worker(study, grace, former)
    return Search(study, Space(SPACE), settled(method), trials, batch, worker=own)


def evaluate(points, before):
    for place, point in enumerate(points):
        yield place, Result("complete", (point["x"] + point["seed"] / 2,))


def patience(*searches):
    """Everybody looks until who is silent is gone."""
    for _ in range(8):
        for one in searches:
            one.worker.beat()
            one.worker.look()


def counted(study):
    """State and point of what counts, by number."""
    return {t.number: (t.state.name, t.params) for t in kept_trials(study.get_trials())}


def finished(study, trials):
    """Whether so many trials count and all are complete."""
    return [state for state, _ in counted(study).values()] == ["COMPLETE"] * trials


def test_a_dead_worker_s_trials_are_taken_over_once(study):
    dead, first, second = worker(study()), worker(study()), worker(study())
    lost = {trial.number: dead.space.suggest(trial) for trial in dead.ask(2)}
    patience(dead, first, second)
    assert not first.worker.quiet
    for _ in range(3):
        first.worker.look()  # not silent for long
    first.take_over()
    assert not Book(first.study.get_trials()).orphans
    patience(first, second)
    assert first.worker.quiet == second.worker.quiet == set(lost)
    running = second.study.get_trials()  # seen before the other one acts
    first.take_over()
    assert recover(second.study, running) == []
    second.take_over()
    trials = first.study.get_trials()
    assert [t.user_attrs.get(RETRY) for t in trials] == [None, None, 0, 1]
    assert not first.run(evaluate)
    assert finished(first.study, 6)
    assert [one for _, one in counted(first.study).values()][:2] == list(lost.values())


def test_a_taker_that_dies_between_its_steps(study):
    dead, taker, third = worker(study()), worker(study()), worker(study())
    points = [dead.space.suggest(trial) for trial in dead.ask(2)]
    for trial in taker.study.get_trials():
        assert end(taker.study, trial, LOST)  # and dies
    assert third.book().left == 4
    assert len(third.book().pending) == 2
    patience(third)
    third.take_over()
    replace(taker.study, taker.study.get_trials()[0])  # or was only slow
    assert [t.user_attrs.get(RETRY) for t in third.study.get_trials()] == [None, None, 0, 1, 0]
    third.run(evaluate)
    assert finished(third.study, 6)
    ended = Counter(trial.user_attrs.get(ENDED) for trial in third.study.get_trials())
    assert (ended[LOST], ended[SURPLUS]) == (2, 1)
    assert [third.study.get_trials()[n].params for n in (2, 3)] == points


def test_what_comes_late_is_left_out(study):
    slow, other = worker(study(), trials=2), worker(study(), trials=2)
    asked = slow.ask(2)
    for trial in asked:
        slow.space.suggest(trial)
    recover(other.study, other.study.get_trials())
    assert tell(slow.study, asked[0], Result("complete", (-9.0,))) is None
    other.run(evaluate)
    assert tell(slow.study, asked[1], Result("failed", reason="late")) is None
    assert finished(other.study, 2)
    assert other.study.best_value >= 0


def test_a_result_that_comes_late_is_said_to(study):
    said, thieves = [], iter([True])
    robbed = replaced(worker(study(), trials=3), say=said.append)

    def slow(points, before):
        if next(thieves, False):
            recover(robbed.study, robbed.study.get_trials())
        yield from evaluate(points, before)

    robbed.run(slow)
    assert said == [f"trial {n} was taken over; what came late is left out" for n in (0, 1)]
    assert finished(robbed.study, 3)


def test_what_is_taken_over_before_it_is_begun(study):
    slow, other = worker(study(), trials=2), worker(study(), trials=2)
    asked = slow.ask(2)
    recover(other.study, other.study.get_trials())
    assert [slow._point(trial) for trial in asked] == [None, None]
    assert not claim(asked[0], slow.worker.name)
    slow.run(evaluate)
    assert finished(other.study, 2)


def test_the_last_trial_is_asked_for_by_two(study):
    first, second = worker(study(), trials=3), worker(study(), trials=3)
    assert (first.left(), second.left()) == (3, 3)  # both look before either asks
    mine, other = first.ask(2), second.ask(2)
    assert [trial.number for trial in mine] == [0, 1]
    assert [trial.number for trial in other] == [2]
    assert first.study.get_trials()[3].user_attrs[ENDED] == SURPLUS
    assert first.left() == 0
    assert set(counted(first.study)) == {0, 1, 2}
    longer = worker(study(), trials=4)
    assert longer.left() == 1
    assert [trial.number for trial in longer.ask(1)] == [4]


def test_what_is_known_beforehand_is_written_down_by_many(study):
    first, second = worker(study(), 20, 5, "grid"), worker(study(), 20, 5, "grid")
    first.enqueue()
    for trial in first.study.get_trials()[:4]:  # as if both had begun at the same moment
        second.study.enqueue_trial(
            trial.system_attrs["fixed_params"], user_attrs={KNOWN: trial.user_attrs[KNOWN]}
        )
    second.enqueue()
    assert len(first.study.get_trials()) == 20
    asked = first.ask(3)  # and dies before it has suggested anything
    assert len(asked) == 3
    patience(second)
    second.take_over()
    second.run(evaluate)
    assert finished(second.study, 16)
    points = [tuple(sorted(point.items())) for _, point in counted(second.study).values()]
    assert len(set(points)) == 16


def test_workers_at_the_same_time(study):
    def work(one, found):
        with one.worker:
            one.enqueue({"x": 3, "seed": 1})
            found.append(one.run(evaluate, lambda trial, result: told.append(trial.number)))

    told, found, searches = [], [], [worker(study(), 12, 2, "tpe") for _ in range(3)]
    threads = [Thread(target=work, args=(one, found)) for one in searches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [False] * 3
    assert finished(searches[0].study, 12)
    assert sorted(told) == sorted(counted(searches[0].study))
    assert counted(searches[0].study)[0][1] == {"x": 3, "seed": 1}


@pytest.mark.parametrize("method", ["random", "tpe", "swarm"])
def test_workers_draw_unlike_points(study, method):
    space = Space({"x": [i / 100 for i in range(100)]})
    searches = [
        Search(study(), space, settled(method), 8, 4, worker=Worker(study(), 60.0))
        for _ in range(2)
    ]
    asked = [(one, trial) for one in searches for trial in one.ask(4)]
    for one in searches:
        one.study.sampler = one._sampler(0)  # as if both had asked at the same moment
    assert len({one._point(trial)["x"] for one, trial in asked}) > 6


def test_who_leaves_leaves_its_trials_to_others(study):
    first, second = worker(study()), worker(study())
    with first.worker:
        first.ask(2)
        assert first.worker.name in second.worker.others()
    assert second.worker.others() == ""
    assert second.left() == 6
    second.ask(2)
    resumed = worker(study(), former=[second.worker.name])  # the same folder again
    resumed.worker.look()
    resumed.take_over()
    assert resumed.left() == 6


def test_a_study_belongs_to_one_search(study):
    own = {"config": {"training": {"epochs": 3}}, "tune": {"seed": 0}, "data": "a"}
    other = {"config": {"training": {"epochs": 4}}, "tune": {"seed": 0}, "data": "b"}
    join(study(), own, "here")
    join(study(), own, "here")
    with pytest.raises(Refused, match=r"epochs: was 3, now 4\n.*the data differ\n.*another search"):
        join(study(), other, "here")
    assert len(study().user_attrs) == 1


def test_two_searches_that_claim_a_study_at_once(study, monkeypatch):
    first, own, other = study(), *({"config": {"seed": n}, "tune": {}, "data": ""} for n in (0, 1))
    write = first.set_user_attr

    def a_moment_later(key, value):
        if value is not None:
            join(study(), other, "here")
        write(key, value)

    monkeypatch.setattr(first, "set_user_attr", a_moment_later)
    with pytest.raises(Refused, match="seed: was 1, now 0"):
        join(first, own, "here")
    join(study(), other, "here")


def test_a_study_of_another_program_is_left_alone(study):
    study().enqueue_trial({"x": 3})
    with pytest.raises(
        Refused, match="alone' is another program's; take another storage, or another"
    ):
        join(study(), {"config": {}, "tune": {}, "data": None}, "here")
    assert study().user_attrs == {}


def two_processes(command):
    """Two workers, one of which is killed while its batch trains; the other one's folder."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.Popen(
        command, env={**environment, "HANGS": "hanging"}, stdout=subprocess.DEVNULL
    )
    try:
        other = None
        wait_for(Path("hanging").exists)
        other = subprocess.Popen(command, env=environment)
        wait_for(lambda: len(list(Path("runs").glob("*/search.json"))) == 2)
        killed.send_signal(signal.SIGKILL)
        assert other.wait(120) == 0
    finally:
        killed.kill()
        killed.wait()
        if other is not None:
            other.kill()
            other.wait()
    (folder,) = (path.parent for path in Path("runs").glob("*/trials.csv"))
    return folder


def wait_for(what, seconds=120):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def check_killed(study, trials, batch):
    """What the killed one had begun was lost once, and done again at the same points."""
    assert finished(study, trials)
    found = study.get_trials()
    gone = [trial for trial in found if trial.user_attrs.get(ENDED) == LOST]
    assert len(gone) == batch
    assert len(found) == trials + batch
    for trial in gone:
        (again,) = [t for t in found if t.user_attrs.get(RETRY) == trial.number]
        assert again.params == trial.params
        assert again.values is not None


def test_one_of_two_commands_is_killed(workspace):
    Path("mine.py").write_text(FIGURE)
    command = [SHOAL, "tune", "c.yaml", "--plain", "--storage", "study.journal"]
    for one in ("tune.objectives=[loss, 'mine:figure']", "tune.grace=2", "tune.trials=6"):
        command += ["--set", one]
    folder = two_processes([*command, "--set", "model={kind: gru, units: 2}"])
    table = pd.read_csv(folder / "trials.csv")
    assert (table["state"] == "complete").all()
    assert len(set(table["training.learning_rate"])) == 6
    check_killed(new_study(shared("study.journal"), "wave", ("loss",) * 2, ("minimize",) * 2), 6, 3)
