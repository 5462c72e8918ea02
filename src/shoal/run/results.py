"""A run's results as the report takes them: from its folder, its data and its collective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.run.calibrating import LEVELS
from shoal.run.crowd import too_few_to_calibrate
from shoal.run.crowd_results import crowd_parts, own_coverage, pit_of
from shoal.run.figures import baselines, held_out
from shoal.run.folder import RunFolder
from shoal.run.schema import Config

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Prepared
    from shoal.equations.prediction import Prediction
    from shoal.report import Classification, Evaluation, Results


def report_results(
    folder: RunFolder, config: Config, prepared: Prepared, crowd: Collective
) -> Results:
    """Everything the report shows, of a run whose record holds its metadata."""
    facts = folder.read_record()["metadata"]
    return results_of(config, prepared, crowd, facts, history_columns(folder))


def results_of(
    config: Config,
    prepared: Prepared,
    crowd: Collective,
    facts: dict[str, Any],
    history: Mapping[str, Any],
) -> Results:
    """Everything the report shows, from a run's metadata and history."""
    from shoal.report import Results

    name, block = held_out(prepared)
    prediction, level = crowd.predict(block), config.calibration.level
    indices = [one["index"] for one in facts["members"] if one["usable"]]
    notes = [*prepared.notes, *too_few_to_calibrate(config, crowd)]
    unseen = facts["collective"].get("out_of_bag")
    if unseen and unseen["loss"] is not None:
        notes.append(
            f"Out of bag, each of {unseen['rows']} training sequences answered by the members that "
            f"did not draw it, the equally weighted crowd's loss is {unseen['loss']:.4g}."
        )
    if name != "test":
        notes.append(f"There is no test block: held-out figures are of the {name} block.")
    return Results(
        name=config.report.title or config.name,
        task=config.data.task,
        created=facts["created"],
        config=config.to_dict(),
        metadata=facts,
        history=history,
        members=[_from_one(member) for member in facts["members"]],
        best_index=facts["best_model_index"],
        loss_name=loss_name(config),
        data=data_facts(config, prepared),
        evaluation=evaluation(prepared, crowd, block, prediction, indices, level),
        wiring=wiring_of(crowd),
        time_constants=constants_of(crowd),
        time_unit=prepared.schema.time_unit or "",
        notes=notes,
        **crowd_parts(crowd, block, prediction, indices, level),
    )


def history_columns(folder: RunFolder) -> dict[str, np.ndarray]:
    """The history's columns, epochs counted from 1."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(folder.history)
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    return {**columns, "epoch": columns["epoch"] + 1}


def _from_one(member: Mapping[str, Any]) -> dict[str, Any]:
    """A member whose epochs a person counts from 1."""
    best = member["best_epoch"]
    return {**member, "best_epoch": None if best is None else best + 1}


def loss_name(config: Config) -> str:
    """What the loss measures, in words."""
    given = config.training.loss
    if config.data.task == "classification":
        given = given or "cross_entropy"
    elif given is None:
        given = "normal_nll" if config.model.likelihood == "normal" else "mse"
    if ":" in given:
        return f"{given.rpartition(':')[2]}, scaled units"
    names = {
        "mse": "mean squared error, scaled units",
        "mae": "mean absolute error, scaled units",
        "huber": "Huber loss, scaled units",
        "normal_nll": "normal negative log-likelihood, scaled units",
        "cross_entropy": "cross-entropy, nats",
    }
    return names[given]


def data_facts(config: Config, prepared: Prepared) -> dict[str, Any]:
    """What the report says of the data."""
    from shoal.run.members import blocks

    facts: dict[str, Any] = {"file": config.data.path}
    if prepared.table is not None:
        facts["rows"] = len(prepared.table)
    facts |= {f"{name} sequences": len(block) for name, block in blocks(prepared).items()}
    schema = prepared.schema
    if schema.step is not None:
        facts["step"] = f"{schema.step:.4g} {schema.time_unit or 'time units'}"
    if len(prepared.series) > 1:
        facts["series"] = len(prepared.series)
    return facts


def evaluation(
    prepared: Prepared,
    crowd: Collective,
    block: Any,
    prediction: Prediction,
    indices: list[int],
    level: float,
) -> Evaluation | Classification:
    """Predictions of a block beside its truth."""
    from shoal.report import Classification, Evaluation

    if prepared.schema.task == "classification":
        return Classification(
            probabilities=prediction.probabilities,
            raw=raw_probabilities(crowd, block),
            labels=block.y,
            class_names=[str(name) for name in prepared.schema.classes],
            members=prediction.members,
            member_indices=indices,
        )
    lower, upper = prediction.interval(level)
    parts = prediction.pool.kind != "sum"  # of a sum there are none
    levels = tuple(sorted({*LEVELS, level}))
    return Evaluation(
        y=block.y,
        y_mask=block.y_mask,
        mean=prediction.mean,
        std=prediction.std,
        aleatoric=np.sqrt(prediction.aleatoric) if parts else None,
        epistemic=np.sqrt(prediction.epistemic) if parts else None,
        members=prediction.members,
        member_indices=indices,
        lower=lower,
        upper=upper,
        level=level,
        levels=levels,
        coverage=coverage_by_level(prediction, block, levels),
        raw_coverage=own_coverage(crowd, block, levels),
        pit=pit_of(prediction, block),
        target_names=prepared.schema.target_names,
        **forecast_parts(prepared, block),
    )


def raw_probabilities(crowd: Collective, block: Any) -> np.ndarray | None:
    """(n, classes) what was said before recalibration, None where there was none."""
    if crowd.recalibration is None:
        return None
    return replace(crowd, recalibration=None).predict(block).probabilities


def coverage_by_level(prediction: Any, block: Any, levels: tuple[float, ...]) -> np.ndarray:
    """(levels, horizons) the share of truths inside each promised interval."""
    from shoal.score import coverage

    y = block.y if block.y.ndim == 3 else block.y[:, None]
    mask = np.isfinite(y)
    if block.y_mask is not None:
        mask &= block.y_mask.reshape(y.shape)
    bounds = [[b.reshape(y.shape) for b in prediction.interval(level)] for level in levels]
    return np.array(
        [
            [coverage(low[:, h], high[:, h], y[:, h], mask[:, h], None) for h in range(y.shape[1])]
            for low, high in bounds
        ]
    )


def forecast_parts(prepared: Prepared, block: Any) -> dict[str, Any]:
    """Times, recent history and simple methods, which only forecasts have."""
    schema = prepared.schema
    if schema.task != "forecast":
        return {}
    parts: dict[str, Any] = {"baselines": baselines(prepared, block)}
    parts["horizons"] = np.array(schema.horizons, float) * (schema.step or 1.0)
    parts["time_unit"] = schema.time_unit or "step"
    if block.origin is None or block.target_times is None:
        return parts
    parts["origins"] = schema.dates(block.origin)
    parts["times"] = schema.dates(block.target_times)
    columns = [schema.feature_names.index(t) for t in schema.targets if t in schema.features]
    if len(columns) == len(schema.targets):
        later = np.cumsum(block.timespans[:, ::-1], axis=1)[:, ::-1] - block.timespans
        mask = np.ones(block.timespans.shape, bool) if block.mask is None else block.mask
        past = np.where(mask[..., None], block.x[..., columns], np.nan)
        parts["past_times"] = schema.dates(block.origin[:, None] - later)
        parts["past_values"] = past
    return parts


def wiring_of(crowd: Collective) -> Any:
    """The wiring of the first member that has one; None where there is none."""
    from shoal.bundle.registry import describe

    groups = crowd.population.groups
    found = (describe(crowd.population.member(group.indices[0]))[1] for group in groups)
    return next((one["wiring"] for one in found if one.get("wiring")), None)


def constants_of(crowd: Collective) -> dict[str, np.ndarray]:
    """name → (members, neurons) nominal time constants, of members that have such."""
    from shoal.neurons import SequenceModel
    from shoal.neurons.inspect import time_constants

    together: dict[tuple[str, int], list[np.ndarray]] = {}
    for index in range(crowd.n_models):
        member = crowd.population.member(index)
        found = time_constants(member) if isinstance(member, SequenceModel) else {}
        for name, own in found.items():
            together.setdefault((name, len(own)), []).append(np.asarray(own))
    names = [name for name, _ in together]
    return {
        name if names.count(name) == 1 else f"{name} of {neurons}": np.stack(each)
        for (name, neurons), each in together.items()
    }
