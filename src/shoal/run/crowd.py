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
    rule = resolve(config.ensemble.weighting.model_dump())
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
