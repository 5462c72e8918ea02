"""What a new bundle says of itself: its members, and everything that was ever done to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.bundle.versions import versions
from shoal.run.life.existing import Existing
from shoal.run.life.members import Grown
from shoal.run.life.settings import Settings

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Sequences

Figures = Mapping[str, Any]


def data_facts(data: Any, blocks: Mapping[str, Sequences]) -> dict[str, Any]:
    """Which data they were, and how many sequences of them went where."""
    from shoal.data import content_hash

    is_file = isinstance(data, str | PathLike)
    return {
        "path": str(data) if is_file else None,
        "sha256": content_hash(data) if is_file else None,
        "sequences": {name: len(block) for name, block in blocks.items()},
        "notes": [],
    }


def member_facts(grown: Grown) -> list[dict[str, Any]]:
    """The members of an updated crowd, in the form of a run's; numbered by their places."""
    return [
        {
            "index": place,
            "seed": one["seed"],
            "status": one["what"],
            "was": one["number"],
            "before": one["before"],
            "best_epoch": one["best_epoch"],
            "best_loss": float(loss),
            "final_loss": one["final_loss"],
            "epochs": one["epochs"],
            "reason": "",
            "usable": True,
        }
        for place, (one, loss) in enumerate(zip(grown.origins, grown.losses, strict=True))
    ]


def facts_of(
    old: Existing,
    crowd: Collective,
    members: Sequence[Mapping[str, Any]],
    data: Mapping[str, Any],
    figures: Mapping[str, Any],
    **more: Any,
) -> dict[str, Any]:
    """The new bundle's metadata, which is that of a run on the new data.

    Args:
        members: of `member_facts`.
        data: of `data_facts`.
        figures: the new crowd's scores by block.
        more: what else to say.
    """
    from shoal.bundle import ensemble_metadata

    kept = {name: old.facts[name] for name in ("name", "run", "job") if name in old.facts}
    said: dict[str, Any] = {
        "training_config": old.config,  # unless `more` knows better
        "base_seed": old.facts.get("base_seed"),
        "final_validation_losses": [one["final_loss"] for one in members],
        "best_epochs": [one["best_epoch"] for one in members],
        "members": list(members),
        "collective": dict(figures),
        "held_out": "test",
        "name": kept.pop("name", old.path.name),
        "created": now(),
        "data": dict(data),
        "versions": versions(),
        **kept,
        **more,
    }
    losses = [one["best_loss"] for one in members]
    return ensemble_metadata(seeds=crowd.seeds, validation_losses=losses, **said)


def update_entry(
    old: Existing,
    members: Sequence[Mapping[str, Any]],
    data: Mapping[str, Any],
    settings: Settings,
    figures: Mapping[str, Figures],
    **more: Any,
) -> dict[str, Any]:
    """One line of the bundle's history: from what, by which data, who changed, what came of it."""
    changed = [one for one in members if one["status"] != "kept"]
    return {
        "when": now(),
        "from": {"path": str(Path(old.path).absolute()), "manifest_sha256": old.digest},
        "data": dict(data),
        "seeds": [one["seed"] for one in members],
        "changed": [
            {name: one[name] for name in ("index", "was", "seed", "status", "before", "best_loss")}
            for one in changed
        ],
        "training": settings.training.model_dump(mode="json"),
        "held_out": {name: row["overall"] for name, row in figures.items()},
        "versions": versions(),
        **more,
    }


def now() -> str:
    """The time, to the second, with its zone."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def history_lines(facts: Mapping[str, Any]) -> list[str]:
    """What was done to a bundle since its training, a line each.

    >>> history_lines(
    ...     {
    ...         "updates": [
    ...             {
    ...                 "when": "2026-01-02",
    ...                 "data": {"path": "new.csv"},
    ...                 "changed": [{"index": 3, "status": "new"}],
    ...             }
    ...         ]
    ...     }
    ... )
    ['update 1     2026-01-02 with new.csv: member 3 new']
    """
    lines = []
    for count, one in enumerate(facts.get("updates", ()), start=1):
        done = [f"member {each['index']} {each['status']}" for each in one["changed"]]
        source = one["data"].get("path") or "data"
        what = ", ".join(done) or "nobody trained"
        lines.append(f"{f'update {count}':<12} {one['when']} with {source}: {what}")
    if facts.get("distilled"):
        source = facts["distilled"]
        lines.append(f"{'student of':<12} {source['from']['path']}, {source['members']} members")
    return lines
