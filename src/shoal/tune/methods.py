"""Which sampler proposes the trials, and how many are asked for at once.

A sampler is made anew for every batch, its seed drawn from the search's seed and the number of
trials there are, so that a search that was cut off goes on as it would have: what samplers know
stands in the study, not in them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.tune.halving import Halving, rungs
from shoal.tune.space import Point, Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

STUDY = "study"  # the method of a study that brings its own sampler and pruner
METHODS = ("grid", "random", "tpe", "swarm", "halving", "asha")
_MOST_POINTS = 100_000
_MOST = 64  # trials that train side by side, unless more are asked for


def settled(method: str | Mapping[str, Any]) -> dict[str, Any]:
    """A method with all its options.

    >>> settled("asha")
    {'kind': 'asha', 'eta': 3, 'min_epochs': None, 'sampler': 'tpe'}

    Raises:
        ValueError: there is no such method or option.
    """
    if method == STUDY:
        return {"kind": STUDY}
    from pydantic import ValidationError

    from shoal.run.tune_section import Tune

    try:
        return Tune.model_validate({"space": {}, "method": method}).method.model_dump()
    except ValidationError as error:
        found = error.errors()[0]
        raise ValueError(
            f"`method` must be one of {', '.join(METHODS)}, with its options; got {method!r}: "
            f"{found['msg']}"
        ) from None


def sampler_kind(method: Mapping[str, Any]) -> str:
    """What proposes the trials."""
    return method.get("sampler", method["kind"])


def sampler(
    method: Mapping[str, Any], seed: int, trials: int, batch: int, *, conditional: bool
) -> BaseSampler:
    """What proposes the next batch of a study that has so many trials."""
    from optuna.samplers import RandomSampler, TPESampler

    kind = sampler_kind(method)
    own = int(np.random.SeedSequence([seed, trials]).generate_state(1)[0])
    if kind == "swarm":
        from shoal.swarm.sampler import SwarmSampler

        rest = RandomSampler(seed=own)  # what a swarm does not search: another draw every batch
        return SwarmSampler(max(batch, 2), seed=seed, independent_sampler=rest)
    if kind != "tpe":
        return RandomSampler(seed=own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `group` is said to be experimental
        startup = method.get("startup", 10)
        return TPESampler(seed=own, n_startup_trials=startup, multivariate=True, group=conditional)


def trials_of(method: Mapping[str, Any], space: Space) -> int:
    """How many trials there are, where nobody says: the whole grid, or 32."""
    grid = sampler_kind(method) == "grid"
    return len(grid_points(space, method.get("points", 5))) if grid else 32


def grid_points(space: Space, points: int) -> list[Point]:
    """The whole grid.

    Raises:
        ValueError: nobody could train so many.
    """
    found = list(islice(space.grid(points), _MOST_POINTS + 1))
    if len(found) > _MOST_POINTS:
        raise ValueError(
            f"the grid has more than {_MOST_POINTS} points; give ranges fewer `points`, or take "
            "method 'random'"
        )
    return found


def batch_size(method: Mapping[str, Any], trials: int) -> int:
    """How many trials train side by side, where nobody says.

    Methods that learn get four batches to learn from; the others, all at once.

    >>> batch_size({"kind": "tpe"}, 32), batch_size({"kind": "random"}, 32)
    (8, 32)
    """
    learns = sampler_kind(method) in ("tpe", "swarm", STUDY)
    return min(_MOST, max(4, -(-trials // 4)) if learns else trials)


def halving(method: Mapping[str, Any], epochs: int, before: Mapping[int, Any]) -> Halving | None:
    """The rule that ends trials in a training of so many epochs; None where none does."""
    if method["kind"] not in ("halving", "asha"):
        return None
    seen = {rung: tuple(scores) for rung, scores in before.items()}
    steps = rungs(epochs, method["eta"], method["min_epochs"])
    return Halving(steps, method["eta"], before=seen if method["kind"] == "asha" else {})
