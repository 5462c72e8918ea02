"""The members of a crowd's successor: those that stay, those that train on, and new ones.

All that train do so together, in the one loop of `shoal.fit`: new ones from their seeds, old ones
from the parameters that they have. Every member keeps the crowd's scaling, so that the old and the
new can be asked together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.run.errors import Fruitless
from shoal.run.life.existing import Existing
from shoal.run.life.newcomers import newcomers
from shoal.run.life.roster import Roster
from shoal.run.life.settings import Settings
from shoal.run.progress import Progress

if TYPE_CHECKING:
    from shoal.data import Scaling, Sequences
    from shoal.population import Fitted, Population

COUPLED = ("joint", "negative_correlation", "correlation", "bagging")  # of members side by side


@dataclass(frozen=True)
class Grown:
    """The members of the new crowd.

    Attributes:
        population: they themselves.
        losses: (members,) of each on the new validation block, in scaled units.
        origins: for each one dict: number, seed, what ("kept", "retrained", "new", "new for 2"),
            before (the loss of the old member in this place), epochs, best_epoch, final_loss.
        left_out: sentences on new members that came to nothing.
    """

    population: Population
    losses: np.ndarray
    origins: list[dict[str, Any]]
    left_out: list[str]


def losses_of(
    population: Population, scaling: Scaling, block: Sequences, loss: str | None
) -> np.ndarray:
    """(members,) the mean loss of each on raw sequences, in the scaled units of training."""
    from shoal.collective import Collective
    from shoal.equations import losses

    encoded = scaling.encode_sequences(block)
    outputs = Collective(population).predict(encoded).outputs
    name = loss or losses.default_loss(outputs)
    values = np.asarray(losses.ELEMENTWISE[name](np, outputs, encoded.y), float)
    known = np.ones(values.shape[1:], bool) if encoded.y_mask is None else encoded.y_mask
    axes = tuple(range(1, values.ndim))
    return np.where(known, values, 0.0).sum(axes) / max(known.sum(), 1)


def grow(
    old: Existing,
    roster: Roster,
    blocks: Mapping[str, Sequences],
    before: np.ndarray,
    settings: Settings,
    seed: int | None,
    progress: Progress,
) -> Grown:
    """Trains who is to be trained, and puts the new crowd's members together.

    Args:
        before: (members,) the old members' losses.
        seed: the first of the new members; by default one more than any there has been.

    Raises:
        Fruitless: nobody who trained has a finite loss.
    """
    population = old.crowd.population
    origins = [_origin(old, place, before) for place in range(roster.size)]
    if not roster.trains:
        return Grown(population, before, origins, [])
    assert roster.replaced is not None
    new = newcomers(old, roster, seed)
    members = [population.member(place) for place in roster.retrained] + new.members
    seeds = [population.seeds[place] for place in roster.retrained] + new.seeds
    fitted = _fit(old, members, seeds, blocks, settings, progress)
    trained = _judged(old, fitted, blocks["valid"], settings)
    return _together(old, roster, fitted, trained, before, origins)


def _fit(
    old: Existing,
    members: list[Any],
    seeds: list[int],
    blocks: Mapping[str, Sequences],
    settings: Settings,
    progress: Progress,
) -> Fitted:
    from shoal.population import Population, fit

    regime = settings.ensemble.regime
    try:
        return fit(
            Population.of(members, seeds),
            old.scaling.encode_sequences(blocks["train"]),
            old.scaling.encode_sequences(blocks["valid"]),
            **settings.training.model_dump(exclude={"devices", "checkpoint", "loss"}),
            loss=settings.training.criterion,
            regime=regime.model_dump() if regime.kind in COUPLED else "independent",
            stopping=None,
            on_epoch=progress.epoch,
        )
    finally:
        progress.close()


def _judged(
    old: Existing, fitted: Fitted, valid: Sequences, settings: Settings
) -> dict[int, float]:
    """The losses of those whose training came to something, by their places among the trained."""
    if not fitted.usable:
        reasons = sorted({str(one["reason"]) for one in fitted.status})
        raise Fruitless(
            f"training: no member has a finite loss ({'; '.join(reasons)}); lower "
            "training.learning_rate or set training.clip_norm. Nothing was written"
        )
    sound = fitted.population.select(fitted.usable)
    losses = losses_of(sound, old.scaling, valid, settings.training.criterion)
    return dict(zip(fitted.usable, losses.tolist(), strict=True))


def _together(
    old: Existing,
    roster: Roster,
    fitted: Fitted,
    trained: dict[int, float],
    before: np.ndarray,
    origins: list[dict[str, Any]],
) -> Grown:
    """Every place of the new crowd: who has it, with which loss, and how that came about."""
    from shoal.population import Population

    population, left_out = old.crowd.population, []
    members = [population.member(place) for place in range(roster.size)]
    seeds, losses = list(population.seeds), before.tolist()
    places = [
        *roster.retrained,
        *(roster.replaced or ()),
        *range(roster.size, roster.size + roster.added),
    ]
    for i, place in enumerate(places):
        status, is_new = fitted.status[i], i >= len(roster.retrained)
        failure = _failure(place, is_new, trained.get(i), before, status)
        if failure:
            left_out.append(f"{_called(old, place, status, is_new)} {failure}")
            continue
        entry = _trained_entry(old, place, status, trained[i], before, is_new)
        if place < roster.size:
            members[place], seeds[place] = fitted.population.member(i), status["seed"]
            losses[place], origins[place] = trained[i], entry
        else:
            members.append(fitted.population.member(i))
            seeds.append(status["seed"])
            losses.append(trained[i])
            origins.append(entry)
    return Grown(Population.of(members, seeds), np.array(losses), origins, left_out)


def _failure(
    place: int, is_new: bool, loss: float | None, before: np.ndarray, status: Mapping[str, Any]
) -> str:
    """Why what was trained is not taken, or nothing."""
    if loss is None:
        stays = "" if place >= len(before) else "; the old one stays"
        return f"diverged ({status['reason']}) and is left out{stays}"
    if not is_new and not loss < before[place]:
        found = f"got no better by training on ({loss:.4g}, was {before[place]:.4g})"
        return f"{found}; it stays as it was"
    return ""


def _called(old: Existing, place: int, status: Mapping[str, Any], is_new: bool) -> str:
    if not is_new:
        return f"member {old.numbers[place]}"
    whose = f" for the place of {old.numbers[place]}" if place < len(old.numbers) else ""
    return f"the new member with seed {status['seed']}{whose}"


def _origin(old: Existing, place: int, before: np.ndarray) -> dict[str, Any]:
    return {
        "number": old.numbers[place],
        "seed": int(old.crowd.seeds[place]),
        "what": "kept",
        "before": float(before[place]),
        "epochs": 0,
        "best_epoch": None,
        "final_loss": None,
    }


def _trained_entry(
    old: Existing,
    place: int,
    status: Mapping[str, Any],
    loss: float,
    before: np.ndarray,
    is_new: bool,
) -> dict[str, Any]:
    known = place < len(before)
    what = "retrained" if not is_new else f"new for {old.numbers[place]}" if known else "new"
    return {
        "number": old.numbers[place] if known and not is_new else None,
        "seed": status["seed"],
        "what": what,
        "before": float(before[place]) if known else None,
        "epochs": status["epochs"],
        "best_epoch": status["best_epoch"],
        "final_loss": status["final_loss"],
    }
