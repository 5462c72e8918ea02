"""What a search needs before its first trial: the data, the study, this worker's place in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from shoal.bundle.versions import versions
from shoal.run.errors import Refused, refusing
from shoal.run.importing import imported
from shoal.run.metadata import file_hash
from shoal.run.progress import Progress
from shoal.tune.addresses import shown
from shoal.tune.applying import start_of, value_at
from shoal.tune.jobs import rows_of
from shoal.tune.joining import join, search_of
from shoal.tune.methods import batch_size, trials_of
from shoal.tune.plan import TunePlan
from shoal.tune.space import Space
from shoal.tune.storage import journal, new_study, reaching, shared
from shoal.tune.study import Search
from shoal.tune.workers import Worker


def prepare(plan: TunePlan) -> None:
    """The data are read, and are those that the search began with.

    Raises:
        Refused: they cannot be used, or changed; or a metric's function is not to be found.
    """
    path, record = plan.config.data.path, plan.folder.read_record()
    with refusing(path):
        digest = file_hash(path)
    if record.get("data_hash") not in (None, digest) and not plan.force:
        raise Refused(
            f"{path}: the data changed since {plan.folder.path} began; restore them, start a new "
            "search, or insist with --force"
        )
    with refusing(f"{plan.document.name}: data"):
        rows = rows_of(plan.config)
    if rows.valid is None and plan.tune.folds is None:
        raise Refused(
            f"{plan.document.name}: data.split: there is no validation block to compare trials "
            "by; set data.split.valid or tune.folds"
        )
    _ = plan.config.training.criterion  # refused now, if there is no such function
    for one in plan.tune.objectives:
        if ":" in one.metric:
            imported(one.metric, plan.beside)
    if record.get("data_hash") != digest:
        plan.folder.write_record(data_hash=digest, versions=versions())


@contextmanager
def opened(plan: TunePlan, progress: Progress) -> Iterator[Search]:
    """The search, while this process works on it."""
    asked = _asked(plan, progress)
    if plan.storage is None:
        study = new_study(journal(plan.folder.journal), "shoal", *objectives(plan))
        search = _written_down(plan, asked(study))
        search.begin_again(study.get_trials(deepcopy=False))  # nobody else has the folder
        yield search
        return
    place, former = shown(plan.storage), plan.folder.read_record().get("workers", [])
    with reaching(plan.storage):
        study = new_study(shared(plan.storage), plan.config.name, *objectives(plan))
        join(study, search_of(plan), place)
        worker = Worker(study, plan.tune.grace, former)
    plan.folder.write_record(workers=[*former, worker.name])
    with worker:
        progress.say(f"study {study.study_name} in {place}, worker {worker.name}")
        yield _written_down(plan, asked(study, worker=worker))


def _asked(plan: TunePlan, progress: Progress) -> Callable[..., Search]:
    """The search that is asked for, of a study."""
    tune = plan.tune
    method = tune.method.model_dump()
    paths = {path for one in tune.space.values() for path in one.when}
    space = Space.of(tune, {path: value_at(plan.config, path) for path in paths})
    with refusing("tune"):
        trials = tune.trials or trials_of(method, space)
    batch = tune.batch or batch_size(method, trials)
    told = {"seed": tune.seed, "seconds": tune.seconds, "say": progress.say}
    return partial(Search, space=space, method=method, trials=trials, batch=batch, **told)


def _written_down(plan: TunePlan, search: Search) -> Search:
    """The search with what is known beforehand in its study."""
    start = start_of(plan.config, search.space) if plan.tune.start else None
    if plan.tune.start and start is None and not search.study.get_trials(deepcopy=False):
        search.say("the configuration itself lies outside the space; it is not tried")
    search.enqueue(start)
    return search


def objectives(plan: TunePlan) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The metrics and their directions."""
    asked = plan.tune.objectives
    return tuple(one.metric for one in asked), tuple(one.to for one in asked)
