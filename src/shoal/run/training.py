"""A training run from beginning to end, every step of which can be taken up again.

    data → members → training → collective → history, bundle, exports, report

Training is the only step that takes long and the only one with a memory of its own, the
checkpoints. Whatever comes after is a function of its result and is done again after a kill.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.bundle.versions import versions
from shoal.run.calibrating import check_blocks
from shoal.run.crowd import check_weighting
from shoal.run.errors import Fruitless, Interrupted, Refused, refusing
from shoal.run.folder import RunFolder, discard, job_id, locked
from shoal.run.folds import check_folds, fold_options, fold_predictions, without_diverged
from shoal.run.members import blocks, fit_options, new_population, prepare_data, unseen
from shoal.run.metadata import file_hash, git_state
from shoal.run.overrides import Overrides
from shoal.run.plan import Plan, new_plan, resumed_plan
from shoal.run.progress import Progress, Silent
from shoal.run.signals import Stop, stopping

if TYPE_CHECKING:
    from shoal.collective import OutOfFold
    from shoal.data import Prepared
    from shoal.population import Fitted


def train(
    config: str | Path | None = None,
    overrides: Overrides = (),
    *,
    resume: str | Path | bool = False,
    force: bool = False,
    runs: str | Path = "runs",
    progress: Progress | None = None,
) -> RunFolder:
    """Train what a configuration describes, and leave a run's folder and its exports.

    Args:
        config: a YAML file; with `resume` it may be absent.
        overrides: `"training.epochs=5"` texts, or a mapping from such paths to values.
        resume: a run's folder or name, or True for the newest of the configuration's name.
        force: resume although configuration or data changed.
        runs: where runs are kept.
        progress: told of every epoch; nothing is shown by default.

    Returns:
        The run's folder.

    Raises:
        Refused: configuration or data are wrong; nothing is left behind.
        Interrupted: SIGINT or SIGTERM ended it early; it can be resumed.
    """
    if resume is False:
        if config is None:
            raise Refused("train: needs a configuration; `shoal init` writes one")
        plan = new_plan(config, overrides, Path(runs))
    else:
        target = None if resume is True else resume
        plan = resumed_plan(target, config, overrides, Path(runs), force)
    return execute(plan, progress or Silent())


def execute(plan: Plan, progress: Progress) -> RunFolder:
    """Do what is left to do of a plan."""
    from shoal.run.outputs import finish, missing_outputs

    folder = plan.folder
    with _tidied(plan), locked(folder), stopping(progress.say) as stop:
        if folder.read_record().get("finished"):
            lost = missing_outputs(plan)
            if not lost:
                progress.say(f"{folder.path}: is finished already; nothing to do")
                return folder
            progress.say(f"{folder.path}: is finished; making anew: {', '.join(lost)}")
        else:
            progress.say(f"run {folder.path}")
        prepared = prepared_data(plan, progress)
        check_blocks(plan.config, prepared)
        check_weighting(plan.config, prepared)
        fitted = fitted_members(plan, prepared, progress, stop)
        progress.close()
        found = folded_members(plan, prepared, progress, stop)
        finish(plan, prepared, without_diverged(fitted, found), progress, found)
    return folder


@contextmanager
def _tidied(plan: Plan) -> Iterator[None]:
    """A new run that is refused, or fails before its first checkpoint, leaves nothing."""
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:
        started = any(plan.folder.checkpoints.glob("epoch-*"))
        if plan.fresh and (isinstance(error, Fruitless) or not started):
            discard(plan.folder)
        raise


def prepared_data(plan: Plan, progress: Progress) -> Prepared:
    """The data, which must be what the run began with; the record is opened."""
    path = plan.config.data.path
    with refusing(path):
        digest = file_hash(path)
    before = plan.folder.read_record().get("data_hash")
    if before is not None and before != digest and not plan.force:
        raise Refused(
            f"{path}: the data changed since {plan.folder.path} began; restore them, "
            "start a new run, or insist with --force"
        )
    with refusing(f"{plan.source}: data"):
        prepared = prepare_data(plan.config)
    check_folds(plan.config, prepared)
    if before != digest:
        plan.folder.write_record(
            data_hash=digest, versions=versions(), git=git_state(Path.cwd()), job=job_id()
        )
    sizes = ", ".join(f"{name} {len(block)}" for name, block in blocks(prepared).items())
    progress.say(f"data {path}: windows: {sizes}")
    for note in (*prepared.notes, *unseen(plan.config, prepared)):
        progress.say(f"  {note}")
    return prepared


def fitted_members(plan: Plan, prepared: Prepared, progress: Progress, stop: Stop) -> Fitted:
    """The trained population, from the newest checkpoint on.

    Raises:
        Refused: no member has a finite loss, or the checkpoint is of another training.
        Interrupted: somebody asked to stop.
    """
    from shoal.population import fit

    config, folder = plan.config, plan.folder
    with refusing("model"):
        population = new_population(config, prepared)
    digest = str(folder.read_record()["data_hash"])
    options = fit_options(config, folder.checkpoints, digest, plan.force)
    scaling = prepared.scaling
    valid = None if prepared.valid is None else scaling.encode_sequences(prepared.valid)
    with _checkpoint_refusals(folder):
        fitted = fit(
            population,
            scaling.encode_sequences(prepared.train),
            valid,
            on_epoch=progress.epoch,
            should_stop=stop.asked,
            **options,
        )
    if fitted.interrupted and stop.signal is not None:
        progress.close()
        raise Interrupted(folder.path, stop.signal, fitted.history.epochs)
    if not fitted.usable:
        reasons = {one["reason"] for one in fitted.status}
        raise Fruitless(
            f"training: no member has a finite loss ({'; '.join(sorted(reasons))}); "
            "lower training.learning_rate or set training.clip_norm"
        )
    return fitted


def folded_members(
    plan: Plan, prepared: Prepared, progress: Progress, stop: Stop
) -> OutOfFold | None:
    """What members trained on folds say of the other rows; None where nobody asks.

    Raises:
        Refused: the checkpoint is of another training.
        Interrupted: somebody asked to stop.
    """
    config, folder = plan.config, plan.folder
    options = fold_options(config)
    if options is None:
        return None
    count = config.n_members
    progress.say(f"training {options['folds']} folds of {count} members for the weighting")
    with _checkpoint_refusals(folder):
        found = fold_predictions(
            config,
            prepared,
            checkpoints=folder.checkpoints / "folds",
            data_hash=str(folder.read_record()["data_hash"]),
            force=plan.force,
            should_stop=stop.asked,
        )
    if found is not None and found.interrupted and stop.signal is not None:
        raise Interrupted(folder.path, stop.signal, config.training.epochs)
    for member, fold in () if found is None else found.diverged:
        progress.say(f"member {member} had no finite loss on fold {fold}; it is left out")
    return found


@contextmanager
def _checkpoint_refusals(folder: RunFolder) -> Iterator[None]:
    """A checkpoint of another training is the asker's to mend; any other error is ours."""
    try:
        yield
    except ValueError as error:
        if "checkpoint" not in str(error):
            raise
        raise Refused(f"{folder.path}: {error} (on the command line: --force)") from error
