"""The same for a configuration: its data, its members, its training; nothing of it is changed.

    learning-rate    training.learning_rate    of the members that it describes
    batch-size       training.batch_size       likewise
    time-scaling     model.time_scaling        of single members of its `model`, as trials are

A configuration without an ensemble lends its model to five seeds, since one seed says little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from shoal.equations.elapsed import KINDS
from shoal.population import Population
from shoal.population.samples import as_samples
from shoal.run import files
from shoal.run.errors import Fruitless, Refused, refusing, suggestion
from shoal.run.folder import check_writable, job_id
from shoal.run.members import make, new_population, prepare_data
from shoal.run.overrides import Overrides
from shoal.run.plan import resolve
from shoal.run.schema import Config
from shoal.tune.engine import compete
from shoal.tune.finding.asked import PATHS, members_of
from shoal.tune.finding.batch_sizes import BatchSizes, batch_size
from shoal.tune.finding.rates import RateRange, learning_rate_range
from shoal.tune.finding.time_scalings import TimeScalings, compared, elapsed
from shoal.tune.jobs import candidate, rows_of
from shoal.tune.structure import fit_options

_TRAINING = ("weight_decay", "dropout", "optimizer", "clip_norm", "strategy")


@dataclass(frozen=True)
class Found:
    """A value for a path of the configuration.

    Attributes:
        what: "learning-rate", "batch-size" or "time-scaling".
        path: of the configuration.
        value: to be written there; None where nothing was found.
        reason: why.
        result: everything that was measured.
        folder: where the page about it is.
    """

    what: str
    path: str
    value: float | int | str | None
    reason: str
    result: RateRange | BatchSizes | TimeScalings
    folder: Path

    @property
    def line(self) -> str:
        """The value as a configuration has it, by its path."""
        return f"{self.path}: {written(self.value)}"

    @property
    def option(self) -> str:
        """The same for the command line."""
        return f"--set {self.path}={written(self.value)}"

    @property
    def report(self) -> Path:
        """The page."""
        return self.folder / "report.html"


def find(
    config: str | Path,
    what: str,
    overrides: Overrides = (),
    *,
    runs: str | Path = "runs",
) -> Found:
    """Looks for a value by measuring what a configuration describes; the file is left as it is.

    Args:
        config: a YAML file; it needs no `tune` section.
        what: "learning-rate" for a range test, "batch-size" for throughput and memory,
            "time-scaling" for a comparison by validation.
        overrides: `"training.optimizer=sgd"` texts, or a mapping from such paths to values.
        runs: where a folder with the page about it is made.

    Raises:
        Refused: configuration or data are wrong, or what is asked for cannot be found in them.
        Fruitless: nothing was found; the page shows why.
    """
    if what not in FINDERS:
        raise Refused(f"there is nothing to find called `{what}`; {suggestion(what, [*FINDERS])}")
    resolved = resolve(Path(config), overrides)
    check_writable(Path(runs), f"--runs {runs}")
    with refusing(str(config)):
        result = FINDERS[what](resolved)
    folder = _folder(Path(runs), resolved.name, what)
    value, reason = result.suggestion, result.reason
    found = Found(what, PATHS[what], value, reason, result, folder)
    _write(found, resolved)
    if value is None:
        raise Fruitless(
            f"{config}: no {what.replace('-', ' ')} found: {reason}; see {found.report}"
        )
    return found


def _rate(config: Config) -> RateRange:
    population, rows = _members(config)
    size = min(config.training.batch_size, rows.count)
    order = {"batch_size": size, "data_seed": config.training.data_seed}
    return learning_rate_range(population, rows, **order, **_training(config))


def _size(config: Config) -> BatchSizes:
    return batch_size(*_members(config), **_training(config))


def _scaling(config: Config) -> TimeScalings:
    """One program: members of every scale are told it as data."""
    if config.model.kind == "mlp":
        raise Refused("model.kind: 'mlp' sees no elapsed times; take a neuron, such as 'cfc'")
    rows = rows_of(config)
    if rows.valid is None:
        raise Refused(
            "data.split: there is no validation block to compare scales by; set data.split.valid"
        )
    train = rows.encoded("train")
    assert train is not None
    facts, notes = elapsed(train)
    signed = config.model.kind == "cfc" and facts["std"] > 0
    kinds = [kind for kind in KINDS if signed or kind != "zscore"]
    told = [
        config.model_copy(update={"model": config.model.model_copy(update={"time_scaling": kind})})
        for kind in kinds
    ]
    members = members_of(config)
    options = {**fit_options(config), "loss": config.training.criterion}
    found = compete([candidate(one, members) for one in told], rows, **options).results
    losses = [[np.nan if loss is None else loss for loss in one.losses] for one in found]
    made = dict(zip(kinds, map(np.array, losses), strict=True))
    return compared(made, config.model.time_scaling, notes)


FINDERS: Mapping[str, Callable[[Config], Any]] = {
    "learning-rate": _rate,
    "batch-size": _size,
    "time-scaling": _scaling,
}


def written(value: Any) -> str:
    """A value as YAML has it.

    >>> written(1e-05), written(64), written("log")
    ('1.0e-05', '64', 'log')
    """
    return yaml.safe_dump(value).split("\n", 1)[0]


def _members(config: Config) -> tuple[Any, Any]:
    """The members that a configuration describes, or several seeds of its one, and their rows."""
    prepared = prepare_data(config)
    rows = as_samples(prepared.scaling.encode_sequences(prepared.train), "train")
    if config.ensemble.enabled:
        return new_population(config, prepared), rows
    return Population.init(make(config, prepared), members_of(config), config.base_seed), rows


def _training(config: Config) -> dict[str, Any]:
    own = {name: getattr(config.training, name) for name in _TRAINING}
    return {**own, "loss": config.training.criterion}


def _folder(runs: Path, name: str, what: str) -> Path:
    """A new folder, under a name that nobody has."""
    now, job = datetime.now(), job_id()
    while True:
        stamp = now.strftime("%Y%m%d-%H%M%S")
        path = runs / "-".join(part for part in (name, what, stamp, job) if part)
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            now += timedelta(seconds=1)


def _write(found: Found, config: Config) -> None:
    from shoal.report.find import render_found
    from shoal.tune.finding.telling import facts, finding

    told = {"model": config.model.kind, "data": config.data.path, **_training(config)}
    told |= {"batch_size": config.training.batch_size, "members": members_of(config)}
    files.write_json(found.folder / "found.json", facts(found))
    files.write_text(found.report, render_found(finding(found, config.name, told)))
