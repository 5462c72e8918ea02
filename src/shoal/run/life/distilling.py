"""A crowd in one model: a student is taught to say by itself what the crowd says.

    data → blocks → the crowd's answers → student → scores beside the crowd's → bundle

The bundle is one of a crowd of one: whatever reads bundles reads it, and where the targets are
numbers its `.std` is the spread that the student predicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.run.errors import Refused
from shoal.run.life.confidence import renewed, too_few
from shoal.run.life.existing import Existing, existing, place_for
from shoal.run.life.record import data_facts, facts_of, now
from shoal.run.life.report_card import Card, card, sentences
from shoal.run.life.settings import Settings, settings_of, student_section
from shoal.run.life.tables import comparison
from shoal.run.life.updating import new_blocks
from shoal.run.overrides import Overrides
from shoal.run.progress import Progress, Silent

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Sequences

MAY_SET = ("training", "data.split", "model")


@dataclass(frozen=True)
class Distilled:
    """What distilling comes to.

    Attributes:
        path: the student's bundle.
        student: the collective of one in it.
        card: the scores of student, crowd and members on the held-out rows.
        notes: sentences.
    """

    path: Path
    student: Collective
    card: Card
    notes: list[str]


def distill(
    bundle: str | Path,
    data: Any,
    *,
    output: str | Path | None = None,
    overrides: Overrides = (),
    seed: int = 0,
    progress: Progress | None = None,
) -> Distilled:
    """Teach one member to say what a crowd says, and how sure it is, into a bundle of its own.

    Targets that are numbers are taught as normal distributions with the crowd's mean and total
    spread, classes by the crowd's probabilities. The student never sees the truth of the rows that
    it is taught on; rows that the crowd was not trained on teach it an honest spread.

    Args:
        bundle: a bundle, or a run that has one.
        data: a file or table with the columns that the crowd was trained on.
        output: the student's bundle; by default beside the crowd's, as NAME-student.
        overrides: settings of training.*, data.split.* and model.*, as texts or as a mapping. By
            default the student is a member like the others; `model.kind` and `model.units` make
            it another.
        seed: of the student.
        progress: told of every epoch; nothing is shown by default.

    Raises:
        Refused: something asked for cannot be, or the student has no finite loss. Nothing was
            written.
    """
    progress = progress or Silent()
    old = existing(bundle)
    place = place_for(old, output, "student")
    settings = settings_of(old, overrides, MAY_SET)
    kind, described = description_of(old, overrides)
    blocks = new_blocks(old, data, settings, progress)
    from shoal.run.life.student import teach

    make = _maker(kind, described)
    population, fitted = teach(make, old.crowd, blocks, settings.training, seed, progress)
    from shoal.collective import Collective

    student = Collective(population, scaling=old.scaling, schema=old.schema)
    student, notes = renewed(_without_recalibration(old.crowd), student, blocks)
    found = card(old.crowd, student, blocks["valid"], blocks["test"])
    config = _config(old, settings, overrides)
    given = (found, place, data, blocks, config, notes, progress)
    return _written(old, student, fitted.status[0], *given)


def description_of(old: Existing, overrides: Overrides) -> tuple[str, dict[str, Any]]:
    """What the student is, its kind and description: a member like the first, but one that sees
    every feature and predicts a spread; or what `model.*` says.

    Raises:
        Refused: the members are of a kind that has no description, or the section is wrong.
    """
    from shoal.bundle import registry

    likelihood = "categorical" if old.schema.task == "classification" else "normal"
    section = student_section(old, overrides)
    if section is not None:
        name = "mlp" if section.kind == "mlp" else "sequence_model"
        return name, {**_described(section, old), "likelihood": likelihood}
    kind, described = registry.describe(old.crowd.population.member(0))
    if kind is None or "likelihood" not in described:
        named = kind or described.get("class")
        raise Refused(
            f"{old.path}: its members are of the kind {named}, which cannot be taught a spread; "
            "say what the student is to be, as in --set model.kind=gru"
        )
    described.pop("feature_mask", None)
    return kind, {**described, "likelihood": likelihood}


def _described(section: Any, old: Existing) -> dict[str, Any]:
    """What `build_model` takes, or of an MLP its `build`, of a section of a configuration."""
    from shoal.run.model_section import neuron_options, units_of, wiring_dict

    own = {
        "kind": section.kind,
        "input_size": old.scaling.encoded_size,
        "units": units_of(section),
        **neuron_options(section),
        "output_shape": list(old.schema.output_shape),
    }
    if section.kind == "mlp":
        if old.schema.window is None or old.schema.min_window is not None:
            raise Refused(
                "model.kind: 'mlp' reads windows of one length, and this crowd's sequences are of "
                "different lengths; take a neuron, such as 'cfc'"
            )
        return own | {"input_size": old.scaling.encoded_size * old.schema.window}
    wiring = getattr(section, "wiring", None)
    time = {"kind": section.time_scaling, **old.scaling.time._asdict()}
    return own | {"wiring": None if wiring is None else wiring_dict(wiring), "time_scaling": time}


def _maker(kind: str, described: Mapping[str, Any]) -> Any:
    from shoal.bundle import registry

    return lambda key: registry.kind(kind).build(dict(described), key)


def _without_recalibration(crowd: Collective) -> Collective:
    """The crowd whose answers the student was taught: they were recalibrated already."""
    return replace(crowd, recalibration=None)


def _written(
    old: Existing,
    student: Collective,
    status: Mapping[str, Any],
    found: Card,
    place: Path,
    data: Any,
    blocks: Mapping[str, Sequences],
    config: Mapping[str, Any],
    notes: list[str],
    progress: Progress,
) -> Distilled:
    """The record and the bundle; the scores said in words."""
    from shoal.bundle import save
    from shoal.run.figures import scores

    known = data_facts(data, blocks)
    lesson = {
        "when": now(),
        "from": {"path": str(old.path.absolute()), "manifest_sha256": old.digest},
        "members": old.crowd.n_models,
        "data": known,
        "rows": found.rows,
        "agreement": found.agreement,
        "kept": found.kept,
    }
    said = {name: scores(student, blocks[name]) for name in ("valid", "test")}
    member = {**status, "status": "student"}
    facts = facts_of(
        old,
        student,
        [member],
        known,
        {"weights": [1.0], **said},
        base_seed=student.seeds[0],
        training_config=config,
        distilled=lesson,
    )
    notes = [*notes, *too_few(old, student)]
    save(student, place, info=facts)
    units = "" if "same_class" in found.agreement else ", in the targets' units"
    title = f"student and crowd on {len(blocks['test'])} held-out windows{units}"
    progress.say("\n" + comparison(found.rows, title) + "\n")
    for line in (*sentences(found), *notes):
        progress.say(line)
    progress.say(f"bundle    {place / 'manifest.json'}")
    return Distilled(place, student, found, notes)


def _config(old: Existing, settings: Settings, overrides: Overrides) -> dict[str, Any]:
    """The configuration by which the student could be trained on: one model, its own loss."""
    section = student_section(old, overrides)
    model = dict(old.config.get("model") or {}) if section is None else section.model_dump()
    if old.schema.task != "classification":
        model["likelihood"] = "normal"
    training = {**settings.training.model_dump(mode="json"), "loss": None}
    ensemble = {**(old.config.get("ensemble") or {}), "enabled": False}
    return {**old.config, "model": model, "training": training, "ensemble": ensemble}
