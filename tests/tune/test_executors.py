"""Fits in other processes: nothing is lost, whoever carries them out."""

from concurrent.futures import Executor, Future
from pathlib import Path

import pytest

from shoal.run.errors import Refused
from shoal.run.signals import Stop
from shoal.tune import executors
from shoal.tune.executors import divided, opened, spread
from shoal.tune.jobs import Job
from shoal.tune.results import COMPLETE, FAILED, INTERRUPTED, Result

JOBS = [Job(configs=tuple({"n": n} for n in range(5))), Job(configs=({"n": 5},))]


class Here(Executor):
    """Carries out at once, the last one first; or never."""

    def __init__(self, never: bool = False):
        self.never, self.calls = never, []

    def submit(self, function, /, *args, **kwargs):
        future: Future = Future()
        self.calls.append(args)
        if not self.never:
            try:
                future.set_result(function(*args, **kwargs))
            except Exception as error:
                future.set_exception(error)
        return future


def answer(job, **_):
    return [{"state": COMPLETE, "values": (float(one["n"]),)} for one in job["configs"]]


def test_jobs_are_cut_until_every_worker_has_one():
    parts = divided(JOBS, 4)
    assert [place for place, _ in parts] == [0, 0, 0, 1]
    assert [c["n"] for _, job in parts for c in job.configs] == [0, 1, 2, 3, 4, 5]
    assert len(divided(JOBS, 1)) == 2
    assert len(divided(JOBS, 50)) == 6


def test_results_come_back_to_their_jobs_in_order(monkeypatch):
    monkeypatch.setattr(executors, "carry_out", answer)
    executor = Here()
    found = dict(spread(executor, 4, Stop())(JOBS))
    assert len(executor.calls) == 4
    assert [[r.values[0] for r in found[place]] for place in (0, 1)] == [[0, 1, 2, 3, 4], [5]]


def test_a_worker_that_dies_costs_its_own_job(monkeypatch):
    def dies(job, **_):
        if job["configs"][0]["n"] == 5:
            raise RuntimeError("killed")
        return answer(job)

    monkeypatch.setattr(executors, "carry_out", dies)
    found = dict(spread(Here(), 2, Stop())(JOBS))
    assert {one.state for one in found[0]} == {COMPLETE}
    assert found[1] == [Result(FAILED, reason="its worker was lost: RuntimeError: killed")]


def test_who_is_asked_to_stop_waits_for_nobody():
    stop = Stop()
    stop.signal = 2
    found = dict(spread(Here(never=True), 2, stop)(JOBS))
    assert {one.state for results in found.values() for one in results} == {INTERRUPTED}


@pytest.mark.parametrize("name", ["processes:1", "executorlib", "dask:1"])
def test_executors_carry_out_jobs_in_other_processes(name):
    job = Job(configs=({"data": {"path": "nowhere.csv"}},))  # refused, where it is read
    with opened(name, Path()) as (executor, workers):
        found = dict(spread(executor, workers, Stop(), cache=False)([job]))
    assert found[0][0].state == FAILED
    assert found[0][0].reason.startswith("ValidationError: ")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("process", "did you mean `processes`"),
        ("processes:many", "workers must be a number above 0, got 'many'"),
        ("executorlib:Slurm", "executorlib has no 'Slurm'; it has"),
        ("builtins:dict", "returned dict, no executor"),
    ],
)
def test_executors_that_are_none_are_refused(name, said):
    with pytest.raises(Refused, match=said), opened(name, Path()):
        pass
