"""From ranges to a crowd: the ensemble is chosen from the trials' own members.

The members of all complete trials were trained already, side by side, with unlike hyper-parameters.
Greedy selection on the validation block (Caruana et al. 2004) adds one member after the other
wherever the crowd's loss falls most; its weights are how often each was chosen. Nothing is trained
again, while tuning first and ensembling after trains the best configuration anew for every member.
TabPack (2025) does the like for tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np

from shoal.population.checkpoint import flatten, unflatten
from shoal.run import files
from shoal.run.errors import Refused
from shoal.run.members import prepare_data
from shoal.tune.applying import config_of
from shoal.tune.jobs import candidate
from shoal.tune.outcome import Outcome, Tried
from shoal.tune.plan import TunePlan

if TYPE_CHECKING:
    from shoal.collective import Collective

Arrays = Mapping[str, np.ndarray]


def arrays_of(member: Any) -> Arrays:
    """A member's arrays by path."""
    return flatten("", eqx.filter(member, eqx.is_array))


def keep(folder: Path, number: int, members: Sequence[Arrays]) -> None:
    """The members of a trial, as files that appear whole or not at all."""
    from safetensors.numpy import save_file

    for place, arrays in enumerate(members):
        with files.replacing(_file(folder, number, place)) as temporary:
            save_file({name: np.array(a, order="C") for name, a in arrays.items()}, temporary)


def members_of_trial(plan: TunePlan, trial: Tried) -> list[Any]:
    """The trained members of a trial, as they were kept; none where the files are gone."""
    from safetensors.numpy import load_file

    own = candidate(config_of(plan.document, trial.point), plan.tune.members)
    like = eqx.filter_eval_shape(own.make, jax.random.key(0))
    shapes, rest = eqx.partition(like, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    found = []
    for place in range(len(own.seeds)):
        path = _file(plan.folder.members, trial.number, place)
        if path.is_file():
            arrays = unflatten("", load_file(path), shapes)
            found.append(eqx.combine(jax.device_put(arrays), rest))
    return found


def chosen(plan: TunePlan, outcome: Outcome) -> Collective:
    """The crowd chosen from the members of all complete trials, weighted and calibrated.

    Raises:
        Refused: there are no members to choose from.
    """
    from shoal.collective import Collective
    from shoal.population import Population
    from shoal.run.calibrating import calibrated
    from shoal.weighting import Evidence
    from shoal.weighting.greedy import Greedy

    members, seeds, losses = [], [], []
    for trial in outcome.ranked:
        own = members_of_trial(plan, trial)
        members += own
        seeds += range(_first_seed(plan, trial), _first_seed(plan, trial) + len(own))
        losses += list(trial.facts["losses"])[: len(own)]
    if not members:
        raise Refused(f"{plan.folder.members}: no trial left its members; search anew")
    prepared = prepare_data(plan.config)
    block, asked = prepared.valid, plan.tune.crowd
    assert block is not None
    assert asked is not None
    parts = {"scaling": prepared.scaling, "schema": prepared.schema}
    every = Collective(Population.of(members, seeds), **parts)
    outputs = every.predict(block).outputs
    evidence = Evidence(
        np.array(losses), outputs, block.y, block.y_mask, block.x, block.timespans, block.mask
    )
    rule = Greedy(**asked.model_dump()).fit(evidence)
    used = [place for place, count in enumerate(rule.counts or ()) if count > 0]
    crowd = Collective(every.population.select(used), rule.select(used), **parts)
    return calibrated(plan.config, prepared, crowd)


def _first_seed(plan: TunePlan, trial: Tried) -> int:
    return config_of(plan.document, trial.point).base_seed


def _file(folder: Path, number: int, place: int) -> Path:
    return folder / f"trial-{number:06d}-{place}.safetensors"
