"""What carries out the jobs that a batch of points makes.

A runner takes jobs and yields (place, results) as they are done, in any order. The one here works
in this process; others may send jobs to an executor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from shoal.run.errors import Refused
from shoal.run.progress import Progress
from shoal.run.signals import Stop
from shoal.tune.applying import config_of
from shoal.tune.jobs import Job, jobs_of, run_job
from shoal.tune.plan import TunePlan
from shoal.tune.results import FAILED, INTERRUPTED, Result
from shoal.tune.space import Point
from shoal.tune.study import Before, Evaluate

Runner = Callable[[Sequence[Job]], Iterator[tuple[int, list[Result]]]]  # job's place, its results


def evaluation(plan: TunePlan, runner: Runner, progress: Progress) -> Evaluate:
    """Points → results, by way of the jobs that their configurations make."""
    tune = plan.tune
    metrics = tuple(one.metric for one in tune.objectives)

    def evaluate(points: Sequence[Point], before: Before) -> Iterator[tuple[int, Result]]:
        good, places = [], []
        seen = {epoch: list(scores) for epoch, scores in before.items()}
        for place, point in enumerate(points):
            try:
                good.append(config_of(plan.document, point))
                places.append(place)
            except Refused as refused:
                yield place, Result(FAILED, reason=refused.problems[0])
        template = Job(
            configs=(),
            metrics=metrics,
            members=tune.members,
            method=tune.method.model_dump(),
            before=seen,  # grows with the batch: jobs that begin later know more
            folds=None if tune.folds is None else tune.folds.model_dump(),
            keep=tune.crowd is not None,
            beside=str(plan.beside),
        )
        jobs = jobs_of(good, template)
        progress.say(_batch(len(good), len(jobs), len(points)))
        for which, results in runner([job for _, job in jobs]):
            for own, result in zip(jobs[which][0], results, strict=True):
                for epoch, score in result.curve.items():
                    seen.setdefault(epoch, []).append(score)
                yield places[own], result

    return evaluate


def in_turn(progress: Callable[[], Progress], stop: Stop) -> Runner:
    """Carries out jobs in this process, the largest first."""

    def run(jobs: Sequence[Job]) -> Iterator[tuple[int, list[Result]]]:
        for place, job in enumerate(jobs):
            if stop.asked():
                yield place, [Result(INTERRUPTED) for _ in job.configs]
                continue
            shown = progress()
            try:
                results = run_job(job, shown.epoch, stop.asked)
            finally:
                shown.close()
            yield place, results

    return run


def _batch(good: int, jobs: int, asked: int) -> str:
    fits = f"{jobs} fit{'' if jobs == 1 else 's'}"
    return f"{asked} trials in {fits}" + ("" if good == asked else f", {asked - good} refused")
