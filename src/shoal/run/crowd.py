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

# rules that learn from predictions of validation data, not from the members' losses alone
LEARNS = ("learned", "stacking", "greedy", "pruned", "time_table", "time_curve")
LEARNS += ("local",)


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


def weighting(
    config: Config,
    prepared: Prepared,
    fitted: Fitted,
    crowd: Collective,
    found: OutOfFold | None = None,
) -> Weighting:
    """How much the members of the crowd count: as the regime needs it, or as the rule finds it."""
    from shoal.weighting import Evidence, resolve

    usable, ensemble = fitted.usable, config.ensemble
    if fitted.weighting is not None:
        return resolve(fitted.weighting).select(usable)
    rule = resolve(ensemble.weighting.model_dump() if ensemble.enabled else "uniform")
    if rule.kind in ("fixed", "time_table"):
        rule = rule.select(usable)
    losses = np.array([fitted.status[index]["best_loss"] for index in usable])
    if rule.kind not in LEARNS:
        return rule.fit(Evidence(losses))
    if found is not None:
        with refusing("ensemble.weighting"):
            return rule.fit(found.select(usable).evidence)
    block = prepared.valid
    if block is None:
        hint = ", or ensemble.weighting.folds" if rule.kind == "stacking" else ""
        raise Refused(
            f"ensemble.weighting.kind: {rule.kind!r} learns from validation data, and there is no "
            f"validation block; set data.split.valid{hint}"
        )
    outputs = crowd.predict(block).outputs
    given = Evidence(losses, outputs, block.y, block.y_mask, block.x, block.timespans, block.mask)
    with refusing("ensemble.weighting"):
        return rule.fit(given)


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
