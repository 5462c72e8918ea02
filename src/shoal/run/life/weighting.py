"""Who counts how much in a crowd that changed: fitted anew on the new validation block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.run.errors import Refused, refusing
from shoal.run.life.existing import Existing
from shoal.run.life.roster import Roster
from shoal.run.life.settings import Settings

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Sequences
    from shoal.population import Population
    from shoal.weighting import Weighting

_REMEDY = "set another, such as ensemble.weighting.kind=uniform"


def rule_of(old: Existing, settings: Settings, roster: Roster) -> Weighting:
    """The rule by which the new crowd is weighted, not yet fitted.

    Raises:
        Refused: the rule belongs to the members that there are, and others are to come.
    """
    from shoal.weighting import resolve

    given, now = settings.ensemble.weighting, old.crowd.weighting
    if now.kind == "pooled":
        _refuse_boosted(old, settings, roster)
        return now
    ensemble = old.config.get("ensemble") or {}
    spec = ensemble.get("weighting") if ensemble.get("enabled") else None
    if given is not None:
        rule = resolve(given.model_dump())
    elif spec is None or spec["kind"] != now.kind or _by_hand(resolve(spec)):
        rule = now
    else:
        rule = resolve(spec)
    _check(rule, given is None, roster)
    return rule


def _by_hand(rule: Weighting) -> bool:
    """Whether weights were written down, and nothing is to be fitted."""
    return rule.kind == "fixed" or getattr(rule, "table", None) is not None


def _refuse_boosted(old: Existing, settings: Settings, roster: Roster) -> None:
    if roster.trains or settings.ensemble.weighting is not None:
        raise Refused(
            f"{old.path}: its members were boosted, each on what the others left over, and cannot "
            "be changed or weighed one by one; train a new crowd, or refit its calibration alone"
        )


def _check(rule: Weighting, is_old: bool, roster: Roster) -> None:
    size = roster.size + roster.added
    if _by_hand(rule) and is_old and (roster.added or roster.newcomers):
        raise Refused(
            f"ensemble.weighting: the weights ({rule.kind!r}) were written down for the members "
            f"that there are, and new ones are to come; {_REMEDY}"
        )
    if rule.kind == "pair" and size != 2:
        raise Refused(
            f"ensemble.weighting: 'pair' is for 2 members, there will be {size}; {_REMEDY}"
        )
    if _by_hand(rule):
        with refusing("ensemble.weighting"):
            rule.weights(size, timespans=np.ones((1, 1)))


def rehearse(
    old: Existing, rule: Weighting, losses: np.ndarray, valid: Sequences, roster: Roster
) -> None:
    """Weighs the old members, so that a rule that cannot is refused before anybody trains.

    Raises:
        Refused: it cannot.
    """
    for_other_members = roster.added and (rule.kind == "pair" or _by_hand(rule))
    if rule.kind != "pooled" and not for_other_members:
        weighted(old, old.crowd.population, rule, losses, valid)


def weighted(
    old: Existing,
    population: Population,
    rule: Weighting,
    losses: np.ndarray,
    valid: Sequences,
) -> Collective:
    """The crowd of these members, weighted by what they say of the new validation block.

    Raises:
        Refused: the rule cannot weigh such members.
    """
    from shoal.collective import Collective
    from shoal.weighting import Evidence

    plain = Collective(population, scaling=old.scaling, schema=old.schema)
    outputs: Any = plain.predict(valid).outputs
    block = (valid.y, valid.y_mask, valid.x, valid.timespans, valid.mask)
    with refusing("ensemble.weighting"):
        crowd = replace(plain, weighting=rule.fit(Evidence(losses, outputs, *block)))
        crowd.predict(valid[:1])
    return crowd
