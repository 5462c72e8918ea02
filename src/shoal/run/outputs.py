"""What a run leaves behind: history, bundle, exports, metadata, report; whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.run import files
from shoal.run.errors import refusing
from shoal.run.figures import held_out, scores
from shoal.run.folder import RunFolder
from shoal.run.members import blocks
from shoal.run.plan import Plan
from shoal.run.progress import Progress
from shoal.run.schema import Config

if TYPE_CHECKING:
    from shoal.collective import Collective, OutOfFold
    from shoal.data import Prepared
    from shoal.population import Fitted


def finish(
    plan: Plan,
    prepared: Prepared,
    fitted: Fitted,
    progress: Progress,
    found: OutOfFold | None = None,
) -> None:
    """Everything after training; may be done any number of times."""
    from shoal.bundle import save
    from shoal.run.closing import closing_table
    from shoal.run.crowd import collective, left_out, too_few_to_calibrate

    folder = plan.folder
    crowd = collective(plan.config, prepared, fitted, found)
    with files.replacing(folder.history) as temporary:
        fitted.history.to_parquet(temporary)
    facts = metadata(plan, prepared, fitted, crowd)
    save(crowd, folder.bundle, info=facts)
    if plan.config.export.enabled:
        write_exports(plan.config, crowd, facts)
    folder.write_record(metadata=facts)
    if plan.config.report.enabled:
        write_report(folder, plan.config, prepared, crowd)
    folder.write_record(finished=True)
    progress.say(closing_table(facts))
    for note in (*left_out(plan.config, fitted), *too_few_to_calibrate(plan.config, crowd)):
        progress.say(note)
    for name, path in outputs(plan).items():
        progress.say(f"{name:<9} {path}")


def outputs(plan: Plan) -> dict[str, Path]:
    """The files that stand for a finished run's parts."""
    folder, config = plan.folder, plan.config
    found = {"history": folder.history, "bundle": folder.bundle / "manifest.json"}
    if config.report.enabled:
        found["report"] = folder.report
    if config.export.enabled:
        exported = Path(config.export.dir)
        found["metadata"] = exported / "ensemble_metadata.json"
        if config.export.stablehlo:
            found["export"] = exported / f"{config.name}_best.mlir"
    return found


def missing_outputs(plan: Plan) -> list[str]:
    """Parts of a finished run that somebody removed."""
    return [name for name, path in outputs(plan).items() if not path.exists()]


def metadata(plan: Plan, prepared: Prepared, fitted: Fitted, crowd: Collective) -> dict[str, Any]:
    """What `ensemble_metadata.json` holds, but for the hashes of the files beside it."""
    from shoal.bundle import ensemble_metadata

    config, record = plan.config, plan.folder.read_record()
    found = blocks(prepared)
    status = fitted.status
    return ensemble_metadata(
        seeds=fitted.population.seeds,
        validation_losses=[one["best_loss"] for one in status],
        training_config=config.to_dict(),
        base_seed=config.base_seed,
        final_validation_losses=[one["final_loss"] for one in status],
        best_epochs=[one["best_epoch"] for one in status],
        members=status,
        collective={
            "weights": weights_of(crowd, held_out(prepared)[1]),
            **({} if fitted.out_of_bag is None else {"out_of_bag": fitted.out_of_bag.facts()}),
            **{name: scores(crowd, found[name]) for name in ("valid", "test") if name in found},
        },
        held_out=held_out(prepared)[0],
        name=config.name,
        run=plan.folder.path.name,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        data={
            "path": config.data.path,
            "sha256": record.get("data_hash"),
            "sequences": {name: len(block) for name, block in found.items()},
            "notes": prepared.notes,
        },
        strategy=fitted.strategy,
        git=record.get("git"),
        versions=record.get("versions"),
        job=record.get("job"),
    )


def weights_of(crowd: Collective, block: Any) -> list[float]:
    """How much each member of the collective counts; the mean over the block where it depends."""
    weights = crowd.predict(block).weights
    return weights.reshape(len(weights), -1).mean(1).tolist()


def write_exports(config: Config, crowd: Collective, facts: Mapping[str, Any]) -> list[Path]:
    """The files of `exported_models`, replaced as one set."""
    from shoal.bundle.export import export

    chosen = config.export
    with refusing("export"):
        return export(
            crowd,
            chosen.dir,
            config.name,
            metadata=facts,
            numbers=usable(facts),
            every=config.ensemble.enabled and config.ensemble.save_all_models,
            stablehlo=chosen.stablehlo,
            pickle=chosen.pickle,
        )


def usable(facts: Mapping[str, Any]) -> list[int]:
    """The numbers of the members that the collective has."""
    return [one["index"] for one in facts["members"] if one["usable"]]


def write_report(folder: RunFolder, config: Any, prepared: Prepared, crowd: Collective) -> None:
    """The run's page, from what lies in its folder."""
    from shoal.report import render
    from shoal.run.results import report_results

    files.write_text(folder.report, render(report_results(folder, config, prepared, crowd)))
