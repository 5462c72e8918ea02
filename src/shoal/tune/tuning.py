"""A search from beginning to end, every step of which can be taken up again.

    configuration → space → batches of trials → table, best configuration

Trials are what takes long, and the study remembers them. Whatever comes after follows from the
study, and is done again after a kill.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.run.errors import Fruitless, Interrupted, Refused
from shoal.run.folder import discard, locked
from shoal.run.overrides import Overrides
from shoal.run.progress import Progress, Silent
from shoal.run.signals import Stop, stopping
from shoal.tune import endings
from shoal.tune.applying import config_of
from shoal.tune.executors import opened as opened_executor
from shoal.tune.executors import spread
from shoal.tune.opening import objectives, opened, prepare
from shoal.tune.outcome import Outcome
from shoal.tune.plan import TunePlan, new_plan, resumed_plan
from shoal.tune.reporting import write_report
from shoal.tune.results import Result
from shoal.tune.running import Runner, evaluation, in_turn
from shoal.tune.storage import reaching

if TYPE_CHECKING:
    from shoal.collective import Collective


class Stopped(Interrupted):
    """The search was asked to stop; what was told of stays told."""

    def __init__(self, folder: Path, signal: int):
        super().__init__(folder, signal, 0)
        self.args = (f"stopped; go on with: shoal tune --resume {folder}",)


def tune(
    config: str | Path | None = None,
    overrides: Overrides = (),
    *,
    resume: str | Path | bool = False,
    force: bool = False,
    runs: str | Path = "runs",
    progress: Callable[[], Progress] = Silent,
    runner: Runner | None = None,
    storage: str | None = None,
) -> Outcome:
    """Search what a configuration's `tune` section describes.

    Args:
        config: a YAML file; with `resume` it may be absent.
        overrides: `"tune.trials=64"` texts, or a mapping from such paths to values.
        resume: a search's folder or name, or True for the newest of the configuration's name.
        force: resume although configuration or data changed.
        runs: where searches are kept, beside runs.
        progress: makes what is told of every training; nothing is shown by default.
        runner: what carries out the jobs of a batch; by default this process, one after the other.
        storage: a journal file or `postgresql://USER:PASSWORD@HOST/DATABASE`, where every process
            that is started with the same configuration works on one study.

    Returns:
        What was found; the folder has `best.yaml` and the table of trials.

    Raises:
        Refused: configuration, space or data are wrong, or every trial failed.
        Interrupted: SIGINT or SIGTERM ended it early; it can be resumed.
    """
    if resume is False:
        if config is None:
            raise Refused("tune: needs a configuration; `shoal init` writes one")
        plan = new_plan(config, overrides, Path(runs), storage)
    else:
        target = None if resume is True else resume
        plan = resumed_plan(target, config, overrides, Path(runs), force, storage)
    return execute(plan, progress, runner)


def execute(
    plan: TunePlan, progress: Callable[[], Progress] = Silent, runner: Runner | None = None
) -> Outcome:
    """Do what is left to do of a plan."""
    shown = progress()
    with (
        _tidied(plan),
        locked(plan.folder),  # type: ignore[arg-type]
        _reaching(plan),
        stopping(shown.say) as stop,
    ):
        shown.say(f"search {plan.folder.path}")
        prepare(plan)
        with (
            opened(plan, shown) as search,
            _running(plan, runner, progress, stop) as carry_out,
        ):
            outcome = Outcome(search.study, search.space, *objectives(plan), plan.folder.path)
            evaluate = evaluation(plan, carry_out, shown)
            told = partial(_told, plan, outcome, shown)
            if search.run(evaluate, told, stop.asked):
                raise Stopped(plan.folder.path, stop.signal or signal.SIGINT)
        outcome = finish(plan, outcome, shown)
        crowd = None if plan.tune.crowd is None else choose(plan, outcome, shown)
        if plan.tune.compare:
            beside(plan, outcome, crowd, progress)
            write_report(plan, outcome)
        return outcome


@contextmanager
def _running(
    plan: TunePlan, given: Runner | None, progress: Callable[[], Progress], stop: Stop
) -> Iterator[Runner]:
    """What carries out the fits: this process, or an executor as long as the search lasts."""
    if given is not None or plan.tune.executor is None:
        yield given or in_turn(progress, stop)
        return
    with opened_executor(plan.tune.executor, plan.beside) as (executor, workers):
        yield spread(executor, workers, stop)


def finish(plan: TunePlan, outcome: Outcome, progress: Progress) -> Outcome:
    """The table and the best configuration; may be done any number of times.

    Raises:
        Fruitless: every trial failed.
    """
    outcome = Outcome(outcome.study, outcome.space, *objectives(plan), plan.folder.path)
    endings.write_table(plan, outcome)
    if not outcome.ranked:
        write_report(plan, outcome)
        raise Fruitless(f"tune: no trial is complete; {outcome.first_cause or 'all were ended'}")
    endings.write_best(plan, outcome)
    write_report(plan, outcome)
    plan.folder.write_record(finished=True, best=outcome.best.number)
    progress.say(endings.closing(outcome))
    folder = plan.folder
    for name, path in (("table", folder.table), ("best", folder.best), ("report", folder.report)):
        progress.say(f"{name:<9} {path}")
    return outcome


def choose(plan: TunePlan, outcome: Outcome, progress: Progress) -> Collective:
    """The crowd chosen from the trials' members, as a bundle."""
    from shoal.bundle import save
    from shoal.tune.crowd import chosen

    crowd = chosen(plan, outcome)
    save(crowd, plan.folder.bundle, info={"name": plan.config.name, "seeds": crowd.seeds})
    progress.say(f"a crowd of {crowd.n_models} members was chosen")
    progress.say(f"bundle    {plan.folder.bundle}")
    return crowd


def beside(
    plan: TunePlan,
    outcome: Outcome,
    crowd: Collective | None,
    progress: Callable[[], Progress],
) -> None:
    """Start, best, and what else is asked for, on held-out data; into `comparison.json`."""
    from shoal.run import files
    from shoal.run.plan import resolve
    from shoal.tune.comparing import compare

    others = plan.tune.compare if isinstance(plan.tune.compare, list) else []
    configs = {"start": plan.config, "best": config_of(plan.document, outcome.best.point)}
    configs |= {name: resolve(plan.beside / name) for name in others}
    found = compare(configs, progress, {} if crowd is None else {"crowd of trials": crowd})
    files.write_json(plan.folder.comparison, found.facts())
    progress().say(str(found))


def _told(plan: TunePlan, outcome: Outcome, progress: Progress, trial: Any, result: Result) -> None:
    if result.members:
        from shoal.tune.crowd import keep

        keep(plan.folder.members, trial.number, result.members)
    now = Outcome(outcome.study, outcome.space, outcome.metrics, outcome.directions)
    own = next(one for one in now.trials if one.number == trial.number)
    best = bool(now.ranked) and now.best.number == trial.number
    progress.say(endings.line(outcome.metrics, own, best))


@contextmanager
def _reaching(plan: TunePlan) -> Iterator[None]:
    """A shared storage that fails later is refused with the way to go on."""
    if plan.storage is None:
        yield
        return
    with reaching(plan.storage, f"go on with: shoal tune --resume {plan.folder.path}"):
        yield


@contextmanager
def _tidied(plan: TunePlan) -> Iterator[None]:
    """A new search that is refused before its first trial leaves nothing."""
    try:
        yield
    except Interrupted:
        raise
    except Exception:
        begun = plan.folder.table.exists() or plan.folder.journal.exists()
        if plan.fresh and not begun and "workers" not in plan.folder.read_record():
            discard(plan.folder)  # type: ignore[arg-type]
        raise
