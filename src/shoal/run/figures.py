"""What a run comes to in numbers: the crowd's scores, and those of simple methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Prepared


def held_out(prepared: Prepared) -> tuple[str, Any]:
    """The block that figures are given for: the test block, else what comes nearest to it."""
    for name in ("test", "valid", "calibration", "train"):
        block = getattr(prepared, name)
        if block is not None and len(block):
            return name, block
    raise ValueError("the data have no sequences")


def scores(crowd: Collective, block: Any, prediction: Any = None) -> dict[str, Any]:
    """All scores of a crowd on a block, as `shoal.score.evaluate` gives them."""
    from shoal.score import evaluate

    prediction = crowd.predict(block) if prediction is None else prediction
    known = getattr(prediction.calibration, "levels", None)  # of moved quantiles: those fitted
    levels = (0.5, 0.8, 0.9, 0.95) if known is None else known
    found = evaluate(prediction, block.y, block.y_mask, levels=levels)
    for row, step in zip(found.get("per_horizon", ()), crowd.schema.horizons, strict=False):
        row["step"] = step
    return found


def baselines(prepared: Prepared, block: Any) -> dict[str, np.ndarray]:
    """What simple methods forecast for the same windows; nothing for other tasks."""
    from shoal.data.times import SECONDS
    from shoal.score import persistence, seasonal_naive

    schema = prepared.schema
    if schema.task != "forecast" or not prepared.series:
        return {}
    found: dict[str, np.ndarray] = {"last value": np.full(block.y.shape, np.nan)}
    cycle = next((name for name in ("year", "week", "day") if name in dict(schema.calendar)), None)
    season = None if cycle is None else SECONDS[cycle] / SECONDS[str(schema.time_unit)]
    if season is not None:
        found["seasonal naive with drift"] = np.full(block.y.shape, np.nan)
    for one in prepared.series:
        if one.y is None:
            continue
        rows = np.flatnonzero(block.series == one.name)
        for target in range(len(schema.targets)):
            past = (one.times, one.y[:, target], block.origin[rows], block.target_times[rows])
            found["last value"][rows, :, target] = persistence(*past)
            if season is not None:
                forecast = seasonal_naive(*past, season)
                found["seasonal naive with drift"][rows, :, target] = forecast
    return {name: values for name, values in found.items() if np.isfinite(values).any()}
