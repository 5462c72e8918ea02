"""One fit's worth of trials as plain data, and what carries it out, here or elsewhere.

`run_job` is a function of its argument alone, and both job and results can be pickled, so that any
executor may run it. A job that fails as a whole is cut in two, again and again, until the trial
that is to blame fails alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from shoal.run.errors import Refused
from shoal.run.importing import imported
from shoal.run.members import make, prepare_data
from shoal.run.schema import Config
from shoal.tune.candidates import Candidate, Nursery
from shoal.tune.engine import Contest, compete
from shoal.tune.methods import halving
from shoal.tune.results import COMPLETE, FAILED, Result, members_of
from shoal.tune.scoring import Rows
from shoal.tune.structure import fit_options, fits, make_key

_NURSERY: Nursery = {}  # members as they begin; keys say everything of data and model
_KEPT = 1024


@dataclass(frozen=True)
class Job:
    """Trials that train in one fit.

    Args:
        configs: the whole configuration of each, as `Config.to_dict` gives it.
        metrics: names of `shoal.tune.scoring`, or `module:function`.
        members: of each trial, of seeds in a row.
        method: of `shoal.tune.methods.settled`; says whether trials that fall behind are ended.
        before: what earlier trials had reached, by epoch.
        folds: of the `tune` section, to cross-validate.
        keep: whether results hold the trained members of complete trials.
        beside: the folder in which users' modules are looked for first.
    """

    configs: tuple[Mapping[str, Any], ...]
    metrics: tuple[str, ...] = ("loss",)
    members: int = 1
    method: Mapping[str, Any] = field(default_factory=lambda: {"kind": "random"})
    before: Mapping[int, Sequence[float]] = field(default_factory=dict)
    folds: Mapping[str, Any] | None = None
    keep: bool = False
    beside: str = "."


def jobs_of(configs: Sequence[Config], template: Job) -> list[tuple[tuple[int, ...], Job]]:
    """The jobs that trials make, the largest first, each with its trials' places."""
    return [
        (one.places, replace(template, configs=tuple(configs[i].to_dict() for i in one.places)))
        for one in fits(configs)
    ]


def run_job(
    job: Job,
    on_epoch: Callable[[Any], Any] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Result]:
    """Trains and scores the trials of a job; none of their mistakes is raised."""
    try:
        contest = run_contest(job, on_epoch, should_stop)
        return _with_members(contest) if job.keep else contest.results
    except Exception as error:  # whatever a trial's configuration or a user's loss can do
        count = len(job.configs)
        if count == 1:
            text = str(error).strip().splitlines() or [""]
            return [Result(FAILED, reason=f"{type(error).__name__}: {text[0]}")]
        halves = (job.configs[: count // 2], job.configs[count // 2 :])
        parts = [run_job(replace(job, configs=own), on_epoch, should_stop) for own in halves]
        return parts[0] + parts[1]


def _with_members(contest: Contest) -> list[Result]:
    """The results with the best parameters of complete trials' members."""
    from shoal.tune.crowd import arrays_of

    population, found = contest.fitted.population, []
    for result, members in zip(contest.results, members_of(contest.owner), strict=True):
        kept = members if result.state == COMPLETE else ()
        arrays = tuple(arrays_of(population.member(i)) for i in kept)
        found.append(replace(result, members=arrays))
    return found


def run_contest(
    job: Job,
    on_epoch: Callable[[Any], Any] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Contest:
    """The same with the trained members; raises what goes wrong.

    Raises:
        Refused: there is neither a validation block nor folds to compare trials by.
    """
    configs = [Config.model_validate(one) for one in job.configs]
    rows = rows_of(configs[0])
    if rows.valid is None and job.folds is None:
        raise Refused(
            "data.split: there is no validation block to compare trials by; set data.split.valid "
            "or tune.folds"
        )
    options = {**fit_options(configs[0]), "loss": configs[0].training.criterion}
    if len(_NURSERY) > _KEPT:
        _NURSERY.clear()
    rule = halving(job.method, options["epochs"], job.before)
    return compete(
        [candidate(config, job.members) for config in configs],
        rows,
        metrics=[
            imported(metric, job.beside) if ":" in metric else metric for metric in job.metrics
        ],
        halving=rule,
        folds=job.folds,
        nursery=_NURSERY,
        on_epoch=on_epoch,
        should_stop=should_stop,
        **options,
    )


def rows_of(config: Config) -> Rows:
    """The rows of a configuration's data; read once in a process."""
    path = Path(config.data.path)
    prepared = _prepared(config.data.model_dump_json(), path.stat().st_mtime_ns, _By(config))
    return Rows(prepared.train, prepared.valid, prepared.scaling)


def candidate(config: Config, members: int = 1) -> Candidate:
    """A configuration as the engine trains it."""
    from shoal.neurons.time_scaling import TimeScaling

    path = Path(config.data.path)
    prepared = _prepared(config.data.model_dump_json(), path.stat().st_mtime_ns, _By(config))
    training, first = config.training, config.base_seed
    time = prepared.scaling.time
    mlp = config.model.kind == "mlp"  # which sees no elapsed time
    scaling = TimeScaling(config.model.time_scaling, mean=time.mean, std=time.std)
    key = make_key(config)
    return Candidate(
        key=key,
        make=_make(key, _By(config), _By(prepared)),
        seeds=tuple(range(first, first + members)),
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        dropout=training.dropout,
        time_scaling=None if mlp else scaling,
    )


class _By:
    """An argument that a cache does not look at."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _By)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=8)
def _prepared(data: str, changed: int, config: _By) -> Any:
    return prepare_data(config.value)


@lru_cache(maxsize=256)
def _make(key: str, config: _By, prepared: _By) -> Callable[[Any], Any]:
    """Each trial brings its own time scaling, so that of the one that came first is left out."""
    if config.value.model.kind == "mlp":
        return make(config.value, prepared.value)
    model = config.value.model.model_copy(update={"time_scaling": "raw"})
    return make(config.value.model_copy(update={"model": model}), prepared.value)
