"""A crowd brought up to date: members join, go, or train on; weights and intervals follow.

    new data → blocks → members → weights → calibration → before and after → new bundle

The old bundle is only read. The new one is written at the very end, beside it or, where that is
asked for, over it, by one rename.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.run.errors import Refused, refusing
from shoal.run.life.confidence import renewed, too_few
from shoal.run.life.existing import Existing, Make, existing, place_for
from shoal.run.life.members import Grown, grow, losses_of
from shoal.run.life.record import data_facts, facts_of, member_facts, update_entry
from shoal.run.life.roster import Whom, roster_of
from shoal.run.life.settings import Settings, settings_of, split_of
from shoal.run.life.tables import comparison, roll
from shoal.run.life.weighting import rehearse, rule_of, weighted
from shoal.run.overrides import Overrides
from shoal.run.progress import Progress, Silent

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Sequences

MAY_SET = ("training", "data.split", "ensemble.weighting")


@dataclass(frozen=True)
class Updated:
    """What an update comes to.

    Attributes:
        path: the new bundle.
        crowd: the collective in it.
        before, after: all scores of the old and the new crowd on the held-out part of the new
            data, as `shoal.score.evaluate` gives them.
        members: one dict for each: index, seed, status ("kept", "retrained", "new", "new for 2"),
            before, best_loss, weight, …
        notes: what did not come out as asked for, in sentences.
    """

    path: Path
    crowd: Collective
    before: dict[str, Any]
    after: dict[str, Any]
    members: list[dict[str, Any]]
    notes: list[str]


def update(
    bundle: str | Path,
    data: Any,
    *,
    add: int | None = None,
    replace: Whom = None,
    retrain: Whom = None,
    output: str | Path | None = None,
    in_place: bool = False,
    overrides: Overrides = (),
    seed: int | None = None,
    make: Make | Sequence[Make] | None = None,
    progress: Progress | None = None,
) -> Updated:
    """Bring a crowd up to date with new data, into a new bundle.

    New members have the old ones' description and scaling, and seeds that nobody has had. Weights
    are fitted anew on a validation block of the new data, conformal intervals, where the crowd has
    them, on a calibration block that is used for nothing else, and the crowd is compared with what
    it was on a test block.

    Args:
        bundle: a bundle, or a run that has one.
        data: a file or table with the columns that the crowd was trained on.
        add: how many members join.
        replace: "worst" on the new validation block, or the numbers of members.
        retrain: "all", or the numbers of members that train on from where they are; one that gets
            no better by it stays as it was.
        output: the new bundle; by default beside the old one, under the next free name.
        in_place: write over the old bundle, once the new one is whole; not over a run's.
        overrides: settings of training.*, data.split.* and ensemble.weighting.*, as texts
            `"training.epochs=5"` or as a mapping; the others are those of the crowd's training.
        seed: of the first new member.
        make: builds members of a kind of your own.
        progress: told of every epoch; nothing is shown by default.

    Raises:
        Refused: something asked for cannot be, or nobody who trained has a finite loss. Nothing
            was written.
    """
    progress = progress or Silent()
    old = existing(bundle, make)
    place = _place(old, output, in_place)
    settings = settings_of(old, overrides, MAY_SET)
    roster = roster_of(old.numbers, add, replace, retrain)
    rule = rule_of(old, settings, roster)
    blocks = new_blocks(old, data, settings, progress)
    before = losses_of(
        old.crowd.population, old.scaling, blocks["valid"], settings.training.criterion
    )
    rehearse(old, rule, before, blocks["valid"], roster)
    grown = grow(old, roster.settled(before), blocks, before, settings, seed, progress)
    crowd = old.crowd
    if rule.kind != "pooled":
        crowd = weighted(old, grown.population, rule, grown.losses, blocks["valid"])
    crowd, lost = renewed(old.crowd, crowd, blocks)
    grown.left_out.extend(lost)
    return _written(old, crowd, grown, place, data, blocks, settings, progress)


def new_blocks(
    old: Existing, data: Any, settings: Settings, progress: Progress
) -> dict[str, Sequences]:
    """The new data in blocks, cut as those that the crowd was trained on."""
    from shoal.data.blocks import blocks_for_training

    split = split_of(settings, old.crowd.calibration is not None)
    stride = (old.config.get("data") or {}).get("stride", 1)
    shown = str(data) if isinstance(data, str | PathLike) else "the new data"
    with refusing(shown):
        blocks = blocks_for_training(data, old.schema, split, stride=stride)
    sizes = ", ".join(f"{name} {len(block)}" for name, block in blocks.items())
    progress.say(f"data {shown}: windows: {sizes}")
    return blocks


def _place(old: Existing, output: str | Path | None, in_place: bool) -> Path:
    if in_place and output is not None:
        raise Refused("--in-place: writes over the bundle itself; leave out --output")
    if in_place and old.run is not None:
        raise Refused(
            f"--in-place: {old.path} is the bundle of a run, whose record and report are of the "
            "crowd that was trained; leave it out, or copy the bundle elsewhere"
        )
    return old.path if in_place else place_for(old, output)


def _config(old: Existing, settings: Settings) -> dict[str, Any]:
    """The configuration that the next update goes by: the weighting may be another now."""
    ensemble, given = old.config.get("ensemble"), settings.ensemble.weighting
    if given is None or not ensemble:
        return old.config
    changed = {**ensemble, "enabled": True, "weighting": given.model_dump(mode="json")}
    return {**old.config, "ensemble": changed}


def _written(
    old: Existing,
    crowd: Collective,
    grown: Grown,
    place: Path,
    data: Any,
    blocks: Mapping[str, Sequences],
    settings: Settings,
    progress: Progress,
) -> Updated:
    """The comparison, the record, and the bundle; said in words."""
    from shoal.bundle import save
    from shoal.run.figures import scores
    from shoal.run.outputs import weights_of

    test = blocks["test"]
    figures = {"before": scores(old.crowd, test), "after": scores(crowd, test)}
    members, weights = member_facts(grown), weights_of(crowd, test)
    notes = [*grown.left_out, *too_few(old, crowd)]
    known = data_facts(data, blocks)
    entry = update_entry(old, members, known, settings, figures, notes=notes)
    said = {"weights": weights, "valid": scores(crowd, blocks["valid"]), "test": figures["after"]}
    history = [*old.facts.get("updates", ()), entry]
    config = _config(old, settings)
    facts = facts_of(old, crowd, members, known, said, updates=history, training_config=config)
    if not old.is_as_it_was():
        raise Refused(f"{old.path}: was changed by somebody meanwhile; update it again")
    save(crowd, place, info=facts)
    for note in notes:
        progress.say(note)
    units = "" if "accuracy" in figures["after"]["overall"] else ", in the targets' units"
    progress.say("\n" + roll(members, weights))
    rows = {name: row["overall"] for name, row in figures.items()}
    title = f"the crowd on {len(test)} held-out windows{units}"
    progress.say("\n" + comparison(rows, title) + "\n")
    progress.say(f"bundle    {place / 'manifest.json'}")
    each = [{**one, "weight": weight} for one, weight in zip(members, weights, strict=True)]
    return Updated(place, crowd, figures["before"], figures["after"], each, notes)
