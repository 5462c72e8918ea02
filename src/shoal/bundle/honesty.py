"""How sure a crowd may be, as files hold it: calibrations and novelty, each as JSON and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shoal.equations.conformal import Calibration
from shoal.equations.conformal_quantile import QuantileCalibration, QuantileCalibrations
from shoal.score.novelty import Novelty

NAMES = {"calibration": {"scores", "counts"}, "novelty": {"known", "unit"}}


def described(part: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the manifest says of a calibration or a `Novelty`, and its arrays."""
    if isinstance(part, Novelty):
        arrays = {"known": np.asarray(part.known), "unit": np.asarray(part.unit, float)}
        return {"measure": part.measure}, arrays
    if isinstance(part, QuantileCalibrations):
        scores = np.stack([one.scores for one in part.parts])
        facts = {"method": part.method, "levels": list(part.levels)}
        return facts, {"scores": scores, "counts": np.asarray(part.counts, np.int64)}
    facts = {"method": part.method, "score": part.score}
    return facts, {"scores": part.scores, "counts": np.asarray(part.counts, np.int64)}


def calibration_of(facts: Mapping[str, Any], arrays: Mapping[str, Any]) -> Any:
    """The calibration that `described` wrote down.

    Raises:
        ValueError: facts and arrays do not fit.
    """
    scores, counts = _checked("calibration", arrays)
    method = facts.get("method", "conformal")  # older bundles know of no other
    if method not in ("conformal", "enbpi", "cqr"):
        raise ValueError(f"there is no calibration method {method!r}")
    lead = (len(facts["levels"]),) if method == "cqr" else ()
    if scores.shape != (*lead, *scores.shape[len(lead) : len(lead) + 1], *counts.shape):
        raise ValueError(f"scores {scores.shape} do not fit counts {counts.shape}")
    if method == "cqr":
        pairs = zip(facts["levels"], scores, strict=True)
        parts = tuple(QuantileCalibration(own, counts, float(level)) for level, own in pairs)
        return QuantileCalibrations(parts)
    return Calibration(scores, counts, facts["score"], method)


def novelty_of(facts: Mapping[str, Any], arrays: Mapping[str, Any]) -> Novelty:
    """The novelty reference that `described` wrote down."""
    known, unit = _checked("novelty", arrays)
    return Novelty(facts["measure"], tuple(known.tolist()), unit.tolist())


def _checked(role: str, arrays: Mapping[str, Any]) -> list[np.ndarray]:
    if set(arrays) != NAMES[role]:
        raise ValueError(f"it should hold {sorted(NAMES[role])}, and has {sorted(arrays)}")
    first, second = ("scores", "counts") if role == "calibration" else ("known", "unit")
    return [arrays[first], arrays[second]]
