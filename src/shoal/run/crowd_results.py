"""What the report shows of the crowd itself: weights, diversity, and what calibration changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.run.figures import scores

if TYPE_CHECKING:
    from shoal.collective import Collective
    from shoal.equations.prediction import Prediction
    from shoal.report import Weights

_NOTES = {
    "conformal": "Intervals are conformal, from the calibration block that nothing else touches.",
    "cqr": "Intervals are the crowd's own quantiles, moved until they held on the calibration "
    "block that nothing else touches.",
    "enbpi": "Intervals are from training rows, each answered by the members that had not seen it "
    "in their bags.",
}
_SERIES = (
    " Windows of a series overlap and drift, so that the promise is a measured habit, not a "
    "guarantee."
)
_PLAIN = "Intervals are the members' own: no calibration block was set aside."
POINTS = 160  # of a curve over elapsed time


def crowd_parts(
    crowd: Collective, block: Any, prediction: Prediction, indices: list[int], level: float
) -> dict[str, Any]:
    """The arguments of `Results` that say who counts, how members differ, how sure they are."""
    known = scores(crowd, block, prediction)
    softened = crowd.recalibration
    return {
        "weights": weights_shown(crowd, block, prediction, indices),
        "diversity": known.get("diversity"),
        "recalibration": None if softened is None else softened.to_dict(),
        "calibration_note": note(crowd),
        "calibration_stages": list(stages(crowd, block, prediction, level)),
    }


def note(crowd: Collective) -> str:
    """What the promised intervals rest on."""
    if crowd.schema is not None and crowd.schema.task == "classification":
        return ""  # classes have no intervals
    if crowd.calibration is None:
        return _PLAIN
    series = _SERIES if crowd.schema is None or crowd.schema.task == "forecast" else ""
    return _NOTES[crowd.calibration.method] + series


def weights_shown(
    crowd: Collective, block: Any, prediction: Prediction, indices: list[int]
) -> Weights:
    """The weights on a block, and over elapsed time where they go by it alone."""
    from shoal.report import Weights

    schema, pool = crowd.schema, prediction.pool
    elapsed, by_elapsed = _over_time(crowd, block)
    return Weights(
        kind=getattr(crowd.weighting, "kind", "weights"),
        values=prediction.weights,
        pool=pool.kind,
        intercept=pool.intercept,
        member_indices=indices,
        elapsed=elapsed,
        by_elapsed=by_elapsed,
        time_unit="" if schema is None else schema.time_unit or "",
        steps=None if schema is None else schema.horizons,
    )


def _over_time(crowd: Collective, block: Any) -> tuple[Any, Any]:
    if block.timespans is None:
        return None, None
    seen = block.timespans if block.mask is None else block.timespans[block.mask]
    rule = crowd.weighting
    switches = [*getattr(rule, "edges", ()), getattr(rule, "threshold", 0.0)]
    most = max([float(np.max(seen)), *(1.3 * float(place) for place in switches)])
    elapsed = np.linspace(0.0, most, POINTS)
    try:
        found = np.asarray(rule.weights(crowd.n_models, None, elapsed[:, None]), float)
    except (TypeError, ValueError, AttributeError):  # it goes by what members say or see
        return None, None
    return (elapsed, found) if found.shape == (crowd.n_models, POINTS) else (None, None)


def stages(
    crowd: Collective, block: Any, prediction: Prediction, level: float
) -> Iterator[dict[str, Any]]:
    """The crowd's scores as trained, recalibrated, calibrated; only what was done."""
    own = replace(prediction, calibration=None)
    if crowd.recalibration is not None:
        plain = replace(crowd, recalibration=None, calibration=None)
        yield _stage("as trained", plain, block, plain.predict(block), level)
        yield _stage("recalibrated", crowd, block, own, level)
    elif crowd.calibration is not None:
        yield _stage("as trained", crowd, block, own, level)
    if crowd.calibration is not None:
        name = {"cqr": "quantiles moved", "enbpi": "out of bag"}.get(
            crowd.calibration.method, "conformal"
        )
        yield _stage(f"intervals: {name}", crowd, block, prediction, level)


def _stage(
    name: str, crowd: Collective, block: Any, prediction: Prediction, level: float
) -> dict[str, Any]:
    """A row; conformal intervals change coverage and width, and no density."""
    from shoal.score import evaluate

    classes = prediction.outputs.__class__.__name__ == "Categorical"
    found = evaluate(prediction, block.y, block.y_mask, levels=(0.5, 0.8, 0.9, level))
    overall, honest = found["overall"], found["calibration"]
    row: dict[str, Any] = {"stage": name, "level": level}
    if classes:
        return row | {k: overall[k] for k in ("log_loss", "brier", "ece")}
    row |= {"error": honest["error"]}
    row |= {k: overall[k].get(f"{level:g}") for k in ("coverage", "width")}
    if not prediction.calibrated:
        row |= {"nll": overall.get("nll"), "crps": overall["crps"]}
        row |= {"spread_skill": honest["spread_skill"] or None}  # 0: parts of a sum have none
    return row


def pit_of(prediction: Prediction, block: Any) -> np.ndarray | None:
    """The truths' places in the members' mixture, as y; None where the report's own serves."""
    from shoal.equations.outputs import Normal
    from shoal.score import pit

    p = prediction
    if p.pool.kind != "mixture" or not isinstance(p.outputs, Normal):
        return None
    seen = np.isfinite(block.y)
    truth = np.where(seen, block.y, p.mean)
    return np.where(seen, pit(p.weights, p.members, p.outputs.std, truth), np.nan)


def own_coverage(crowd: Collective, block: Any, levels: tuple[float, ...]) -> np.ndarray | None:
    """(levels,) what the members' own intervals held, where anything was calibrated since."""
    from shoal.score import coverage

    if crowd.recalibration is None and crowd.calibration is None:
        return None
    plain = replace(crowd, recalibration=None, calibration=None).predict(block)
    if plain.pool.kind == "sum":
        return None
    bounds = [plain.interval(level) for level in levels]
    return np.array([coverage(*b, block.y, block.y_mask, None) for b in bounds], float)
