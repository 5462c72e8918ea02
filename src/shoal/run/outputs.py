"""What a run leaves behind: history, bundle, exports, metadata, report; whole or not at all."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.run import files
from shoal.run.figures import held_out, scores, statistics
from shoal.run.folder import RunFolder
from shoal.run.members import blocks
from shoal.run.plan import Plan
from shoal.run.progress import Progress

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Prepared
    from shoal.population import Fitted


def finish(plan: Plan, prepared: Prepared, fitted: Fitted, progress: Progress) -> None:
    """Everything after training; may be done any number of times."""
    from shoal.bundle import save
    from shoal.run.closing import closing_table
    from shoal.run.crowd import collective

    folder = plan.folder
    crowd = collective(plan.config, prepared, fitted)
    with files.replacing(folder.history) as temporary:
        fitted.history.to_parquet(temporary)
    save(crowd, folder.bundle)
    facts = metadata(plan, prepared, fitted, crowd)
    if plan.config.export.enabled:
        write_exports(plan, crowd, fitted, facts)
    folder.write_record(metadata=facts)
    if plan.config.report.enabled:
        write_report(folder, plan.config, prepared, crowd)
    folder.write_record(finished=True)
    progress.say(closing_table(facts))
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
    """What `ensemble_metadata.json` holds."""
    config, record = plan.config, plan.folder.read_record()
    seeds = list(fitted.population.seeds)
    figures = {
        name: scores(crowd, block)
        for name, block in blocks(prepared).items()
        if name in ("valid", "test")
    }
    return files.plain(
        {
            "name": config.name,
            "run": plan.folder.path.name,
            "created": datetime.now().astimezone().isoformat(timespec="seconds"),
            "n_models": config.n_members,
            "base_seed": config.base_seed,
            "seeds": seeds,
            **statistics(fitted.status, seeds),
            "best_epochs": [one["best_epoch"] for one in fitted.status],
            "members": fitted.status,
            "collective": {"weights": weights_of(crowd), **figures},
            "held_out": held_out(prepared)[0],
            "training_config": config.to_dict(),
            "data": {
                "path": config.data.path,
                "sha256": record.get("data_hash"),
                "sequences": {name: len(block) for name, block in blocks(prepared).items()},
                "notes": list(prepared.notes),
            },
            "strategy": fitted.strategy,
            "git": record.get("git"),
            "versions": record.get("versions"),
            "job": record.get("job"),
        }
    )


def weights_of(crowd: Collective) -> list[float]:
    """How much each member of the collective counts, where that does not depend on x."""
    return crowd.weighting.weights(crowd.n_models).tolist()


def write_exports(plan: Plan, crowd: Collective, fitted: Fitted, facts: dict[str, Any]) -> None:
    """The files of `exported_models`, replaced as one set."""
    from shoal.bundle.export import export

    chosen = plan.config.export
    export(
        crowd,
        chosen.dir,
        plan.config.name,
        best=facts["best_model_index"],
        metadata=facts,
        every=plan.config.ensemble.save_all_models,
        stablehlo=chosen.stablehlo,
        pickle=chosen.pickle,
    )


def write_report(folder: RunFolder, config: Any, prepared: Prepared, crowd: Collective) -> None:
    """The run's page, from what lies in its folder."""
    from shoal.report import render
    from shoal.run.results import report_results

    files.write_text(folder.report, render(report_results(folder, config, prepared, crowd)))
