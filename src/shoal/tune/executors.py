"""Fits in other processes, through any executor of the standard interface, by name.

    processes[:WORKERS]       processes of this machine; as many as it has cores
    executorlib[:KIND]        executorlib's SingleNodeExecutor, or SlurmClusterExecutor, ...
    dask[:WORKERS|:ADDRESS]   Dask: a cluster of processes on this machine, or a scheduler's address
    MODULE:FUNCTION           whatever the function returns: a `concurrent.futures.Executor`

An executor is given the fits of a batch, cut so that every worker has one. Trials are told to the
study here, by the process that asked for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from shoal.run.devices import cores
from shoal.run.errors import Refused, nearest
from shoal.run.importing import imported
from shoal.run.signals import Stop
from shoal.tune.jobs import Job
from shoal.tune.remote import carry_out
from shoal.tune.results import FAILED, INTERRUPTED, Result
from shoal.tune.running import Runner

_PATIENCE = 0.2  # seconds between two looks at whether somebody asked to stop


@contextmanager
def opened(name: str, beside: Path) -> Iterator[tuple[Executor, int]]:
    """The executor of a name, and how many workers it has; closed at the end.

    Args:
        name: see the head of this file.
        beside: the folder in which a user's module is looked for first.

    Raises:
        Refused: the name is none, or what it needs is not installed.
    """
    kind, _, rest = name.partition(":")
    if kind in _KINDS:
        with _KINDS[kind](rest, name) as found:
            yield found
        return
    if not rest:
        near = nearest(kind, list(_KINDS))
        hint = f"did you mean `{near}`?" if near else f"take {', '.join(_KINDS)}"
        raise Refused(f"tune.executor: unknown executor {kind!r}; {hint}, or `module:function`")
    executor = imported(name, beside)()
    if not hasattr(executor, "submit"):
        raise Refused(f"tune.executor: {name} returned {type(executor).__name__}, no executor")
    with executor:
        yield executor, int(getattr(executor, "_max_workers", 0) or cores())


def spread(executor: Executor, workers: int, stop: Stop, cache: bool = True) -> Runner:
    """Carries out jobs by an executor, cut until there is one for every worker."""

    def run(jobs: Sequence[Job]) -> Iterator[tuple[int, list[Result]]]:
        parts = divided(jobs, workers)
        found: dict[int, list[Result]] = {}
        for part, results in _done(executor, [job for _, job in parts], stop, cache):
            found[part] = results
            place = parts[part][0]
            own = [number for number, (of, _) in enumerate(parts) if of == place]
            if all(number in found for number in own):
                yield place, [result for number in own for result in found[number]]

    return run


def divided(jobs: Sequence[Job], workers: int) -> list[tuple[int, Job]]:
    """(place, job), the largest cut in two until there are enough; parts of one stay in order."""
    parts = [(place, job) for place, job in enumerate(jobs)]
    while len(parts) < workers:
        largest = max(range(len(parts)), key=lambda number: len(parts[number][1].configs))
        place, job = parts[largest]
        half = len(job.configs) // 2
        if half < 1:
            break
        cut = (job.configs[: len(job.configs) - half], job.configs[len(job.configs) - half :])
        parts[largest : largest + 1] = [(place, replace(job, configs=own)) for own in cut]
    return parts


def _done(
    executor: Executor, jobs: Sequence[Job], stop: Stop, cache: bool
) -> Iterator[tuple[int, list[Result]]]:
    """Results as they come; a worker that dies costs its own job."""
    futures: dict[Future, int] = {
        executor.submit(carry_out, asdict(job), cache=cache): number
        for number, job in enumerate(jobs)
    }
    waiting = set(futures)
    while waiting:
        ready, waiting = wait(waiting, timeout=_PATIENCE, return_when=FIRST_COMPLETED)
        for future in ready:
            number = futures[future]
            yield number, _results(future, jobs[number])
        if stop.asked() and waiting:
            for future in waiting:
                future.cancel()
            yield from ((futures[f], _all(jobs[futures[f]], INTERRUPTED)) for f in waiting)
            return


def _results(future: Future, job: Job) -> list[Result]:
    try:
        return [Result(**fields) for fields in future.result()]
    except Exception as error:  # the worker died, or could not be reached
        return _all(job, FAILED, f"its worker was lost: {type(error).__name__}: {error}")


def _all(job: Job, state: str, reason: str = "") -> list[Result]:
    return [Result(state, reason=reason) for _ in job.configs]


@contextmanager
def _processes(rest: str, name: str) -> Iterator[tuple[Executor, int]]:
    workers = _count(rest, name) or cores()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        yield executor, workers


@contextmanager
def _executorlib(rest: str, name: str) -> Iterator[tuple[Executor, int]]:
    try:
        import executorlib
    except ImportError:
        raise Refused(
            f"tune.executor: {name} needs executorlib: pip install 'shoal[cluster]'"
        ) from None
    kinds = [kind for kind in dir(executorlib) if kind.endswith("Executor") and kind[0] != "B"]
    if rest and rest not in kinds:
        raise Refused(f"tune.executor: executorlib has no {rest!r}; it has {', '.join(kinds)}")
    with getattr(executorlib, rest or "SingleNodeExecutor")(max_workers=cores()) as executor:
        yield executor, cores()


@contextmanager
def _dask(rest: str, name: str) -> Iterator[tuple[Executor, int]]:
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise Refused(f"tune.executor: {name} needs Dask: pip install 'shoal[cluster]'") from None
    if ":" in rest:  # a scheduler's address
        with Client(rest) as client:
            known: Any = client.ncores()
            yield client.get_executor(pure=False), max(len(known), 1)
        return
    workers = _count(rest, name) or cores()
    options: dict[str, Any] = {"processes": True, "dashboard_address": None}
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, **options) as cluster,
        Client(cluster) as client,
    ):
        yield client.get_executor(pure=False), workers


_KINDS: dict[str, Callable] = {
    "processes": _processes,
    "executorlib": _executorlib,
    "dask": _dask,
}


def _count(rest: str, name: str) -> int | None:
    if not rest:
        return None
    if not rest.isdigit() or int(rest) < 1:
        raise Refused(f"tune.executor: {name}: workers must be a number above 0, got {rest!r}")
    return int(rest)
