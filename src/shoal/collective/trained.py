"""What `fit` leaves as a crowd: without the members that may not speak, who are named.

Of any framework, and without JAX where that is absent.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

from shoal.population.fitted import Fitted
from shoal.weighting import Weighting, resolve


class Trained(NamedTuple):
    """Members that may be used, and how much each of them counts."""

    members: Any  # a population, or a list of modules
    seeds: tuple[int, ...]
    weighting: Weighting


def trained(fitted: Fitted, weighting: Any = None, *, stacklevel: int = 2) -> Trained:
    """The usable members of a training, with a warning that names the others.

    Args:
        weighting: as of `Collective`, for all members of the training or for the usable ones; None
            for what the regime needs, which is uniform where it needs nothing.
        stacklevel: of the warning, seen from here.

    Raises:
        ValueError: no member is usable, or the weighting cannot do without those that are not.
    """
    given = fitted.weighting or "uniform" if weighting is None else weighting
    rule, usable, count = resolve(given), fitted.usable, len(fitted.status)
    seeds = tuple(fitted.status[i]["seed"] for i in usable)
    if len(usable) == count:
        return Trained(fitted.population, seeds, rule)
    lost = [one for one in fitted.status if not one["usable"]]
    if not usable:
        reasons = "; ".join(sorted({one["reason"] for one in lost}))
        raise ValueError(
            f"no member has a finite loss ({reasons}); lower `learning_rate`, or set `clip_norm`"
        )
    named = "; ".join(f"{one['index']} (seed {one['seed']}), {one['reason']}" for one in lost)
    warnings.warn(f"left out of the crowd: member {named}", stacklevel=stacklevel)
    select = getattr(fitted.population, "select", None)
    members = [fitted.population[i] for i in usable] if select is None else select(usable)
    return Trained(members, seeds, _of_those(rule, usable, count))


def _of_those(rule: Weighting, usable: list[int], count: int) -> Weighting:
    """The rule for those that stay; as it is where it is for them already."""
    if getattr(rule, "members", None) not in (None, count):
        return rule
    try:
        return rule.select(usable)
    except IndexError:  # it knows fewer members than were trained
        return rule
