"""From trained members to the collective: who may speak, with which weight, how sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoal.run.schema import Config

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Prepared
    from shoal.population import Fitted


def collective(config: Config, prepared: Prepared, fitted: Fitted) -> Collective:
    """The members with a finite loss, weighted by it and calibrated on a block of its own."""
    from shoal.collective import Collective
    from shoal.weighting import Evidence, resolve

    usable = fitted.usable
    losses = np.array([fitted.status[index]["best_loss"] for index in usable])
    ensemble = config.ensemble
    rule = resolve(ensemble.weighting.model_dump() if ensemble.enabled else "uniform")
    rule = rule.select(usable) if rule.kind == "fixed" else rule
    crowd = Collective(
        fitted.population.select(usable),
        rule.fit(Evidence(losses)),
        scaling=prepared.scaling,
        schema=prepared.schema,
    )
    block, wanted = prepared.calibration, config.calibration
    if block is None or wanted.method is None or config.data.task == "classification":
        return crowd
    return crowd.calibrate(block, score=wanted.score)


def too_few_to_calibrate(config: Config, crowd: Collective) -> list[str]:
    """A sentence where the calibration block is too small for intervals of the level asked for."""
    from shoal.equations.conformal import rows_needed

    level = config.calibration.level
    if crowd.calibration is None or np.isfinite(crowd.calibration.quantile(level)).all():
        return []
    return [
        f"{level:.4g} intervals are infinite: the calibration block has "
        f"{crowd.calibration.counts.min()} rows, they need {rows_needed(level)}; "
        "enlarge it, or lower calibration.level"
    ]
