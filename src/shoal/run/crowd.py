"""From trained members to the collective: who may speak, with which weight, how sure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from shoal.run.calibrating import calibrated
from shoal.run.errors import Refused, refusing
from shoal.run.folds import fold_predictions, without_diverged
from shoal.run.schema import Config

if TYPE_CHECKING:
    from shoal.collective import Collective, OutOfFold
    from shoal.data import Prepared
    from shoal.population import Fitted
    from shoal.weighting import Weighting

PLACE = "ensemble.weighting"


def collective(
    config: Config, prepared: Prepared, fitted: Fitted, found: OutOfFold | None = None
) -> Collective:
    """The members with a finite loss, weighted, recalibrated and calibrated.

    `found` is what the members said of folds; made here where it is needed and not given.
    """
    from shoal.collective import Collective

    if found is None and fitted.weighting is None:
        found = fold_predictions(config, prepared)
        fitted = without_diverged(fitted, found)
    usable = fitted.usable
    crowd = Collective(
        fitted.population.select(usable), scaling=prepared.scaling, schema=prepared.schema
    )
    crowd = replace(crowd, weighting=weighting(config, prepared, fitted, crowd, found))
    return calibrated(config, prepared, crowd)


def check_weighting(config: Config, prepared: Prepared) -> None:
    """Refuses, before anything is trained, a rule that would have nothing to learn from.

    Raises:
        Refused: it learns from validation data, and there are none.
    """
    from shoal.weighting import learns_from

    rule = asked_for(config)
    if learns_from(rule) != "predictions" or getattr(rule, "folds", None) is not None:
        return
    if prepared.valid is None:
        hint = f", or {PLACE}.folds" if hasattr(rule, "folds") else ""
        raise Refused(
            f"{PLACE}.kind: {rule.kind!r} learns from validation data, and there is no "
            f"validation block; set data.split.valid{hint}"
        )
    from shoal.weighting.evidence import known_of

    if not known_of(prepared.valid.y, prepared.valid.y_mask)[1].any():
        raise Refused(
            f"{PLACE}.kind: {rule.kind!r} learns from validation data, and no truth of the "
            "validation block is known; enlarge data.split.valid"
        )


def asked_for(config: Config) -> Weighting:
    """The rule of the configuration, before it has learned anything."""
    from shoal.weighting import resolve

    ensemble = config.ensemble
    return resolve(ensemble.weighting.model_dump() if ensemble.enabled else "uniform")


def weighting(
    config: Config,
    prepared: Prepared,
    fitted: Fitted,
    crowd: Collective,
    found: OutOfFold | None = None,
) -> Weighting:
    """How much the members of the crowd count: as the regime needs it, or as the rule finds it."""
    from shoal.weighting import Evidence, learns_from, resolve

    usable = fitted.usable
    if fitted.weighting is not None:
        return resolve(fitted.weighting).select(usable)
    rule = of_those(asked_for(config), usable)
    losses = np.array([fitted.status[index]["best_loss"] for index in usable])
    of_predictions = learns_from(rule) == "predictions"
    if of_predictions and found is None:
        check_weighting(config, prepared)
    with refusing(PLACE):
        if not of_predictions:
            return rule.fit(Evidence(losses))
        if found is not None:
            return rule.fit(found.select(usable).evidence)
        block = prepared.valid
        assert block is not None
        asked = block.x, block.timespans, block.mask
        outputs = crowd.predict(block).outputs
        return rule.fit(Evidence(losses, outputs, block.y, block.y_mask, *asked))


def of_those(rule: Weighting, usable: list[int]) -> Weighting:
    """A rule for the members that are left, which count alike where it gave all of them nothing."""
    from shoal.weighting import Uniform, learns_from

    if learns_from(rule) != "nothing":
        return rule  # it will learn of those alone
    try:
        return rule.select(usable)
    except ValueError:  # weights that were written down, all for members that came to nothing
        return Uniform()


def left_out(config: Config, fitted: Fitted) -> list[str]:
    """A sentence on every member that came to nothing, and on what that does to the weights."""
    lost = [one for one in fitted.status if not one["usable"]]
    said = [
        f"member {one['index']} (seed {one['seed']}) is left out of the crowd: {one['reason']}"
        for one in lost
    ]
    if not lost or fitted.weighting is not None:
        return said
    asked = asked_for(config)
    if of_those(asked, fitted.usable).kind != asked.kind:
        said.append(
            f"{PLACE}: {asked.kind!r} says nothing of the members that are left; they count alike"
        )
    return said


def too_few_to_calibrate(config: Config, crowd: Collective) -> list[str]:
    """A sentence where the calibration block is too small for intervals of the level asked for."""
    from shoal.equations.conformal import rows_needed

    level = config.calibration.level
    if crowd.calibration is None or np.isfinite(crowd.calibration.quantile(level)).all():
        return []
    bagged = crowd.calibration.method == "enbpi"
    where = "the rows left out of bags are" if bagged else "the rows of the calibration block are"
    return [
        f"{level:.4g} intervals are infinite: {where} "
        f"{crowd.calibration.counts.min()}, they need {rows_needed(level)}; "
        "enlarge it, or lower calibration.level"
    ]
