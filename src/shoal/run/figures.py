"""What a run comes to in numbers: statistics of the members, scores of the crowd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.data import Prepared


def statistics(status: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> dict[str, Any]:
    """Losses over the members; population variance, over the finite ones.

    >>> members = [{"best_loss": 3.0, "final_loss": 4.0}, {"best_loss": None, "final_loss": None}]
    >>> found = statistics([*members, {"best_loss": 1.0, "final_loss": 1.0}], [42, 43, 44])
    >>> found["mean_loss"], found["variance_loss"], found["best_model_seed"]
    (2.0, 1.0, 44)
    """
    losses = [one["best_loss"] for one in status]
    finite = np.array([loss for loss in losses if loss is not None])
    known = [index for index, loss in enumerate(losses) if loss is not None]
    best = min(known, key=lambda index: losses[index], default=None)
    return {
        "validation_losses": losses,
        "final_validation_losses": [one["final_loss"] for one in status],
        "mean_loss": float(finite.mean()) if finite.size else None,
        "std_loss": float(finite.std()) if finite.size else None,
        "variance_loss": float(finite.var()) if finite.size else None,
        "best_model_index": best,
        "best_model_seed": None if best is None else seeds[best],
        "best_model_loss": None if best is None else losses[best],
    }


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
    levels = (0.5, 0.8, 0.9, 0.95)
    return evaluate(prediction, block.y, block.y_mask, levels=levels)


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
        rows = np.flatnonzero(block.series == one.name)
        for target in range(len(schema.targets)):
            past = (one.times, one.y[:, target], block.origin[rows], block.target_times[rows])
            found["last value"][rows, :, target] = persistence(*past)
            if season is not None:
                forecast = seasonal_naive(*past, season)
                found["seasonal naive with drift"][rows, :, target] = forecast
    return {name: values for name, values in found.items() if np.isfinite(values).any()}
