"""Members' outputs made honest after training: which rule fits what they answer.

    class logits      one temperature       softmax(z/T)        `temperature.py`
    normals           one factor            N(μ, (sσ)²)         `variance.py`
    points            none: they say nothing of their own uncertainty; calibrate intervals instead

Both are fitted on validation rows only, have `apply(xp, outputs)` over any array namespace, and are
plain facts for JSON.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from shoal.equations.outputs import Categorical, Normal
from shoal.equations.pooling import MIXTURE, Pool
from shoal.equations.prediction import Prediction
from shoal.equations.temperature import Temperature, fit_temperatures
from shoal.equations.variance import VarianceScale, fit_variance

Recalibration = Temperature | VarianceScale
KINDS: dict[str, Any] = {"temperature": Temperature, "variance": VarianceScale}


def fit_recalibration(
    outputs: Any,
    weights,
    y,
    y_mask=None,
    by: Literal["crowd", "member"] = "crowd",
    pool: Pool = MIXTURE,
    kind: Literal["auto", "temperature", "variance"] = "auto",
) -> Recalibration:
    """The recalibration that fits the members' answers, from validation rows.

    Args:
        outputs: of the members, (members, rows, ...): a `Normal` or a `Categorical`.
        weights: (members,) or (members, rows), summing to one over the members.
        y: the truth (rows, *outputs), or labels (rows,). y_mask: True where it was observed.
        by: "crowd", so that the mixture or the pooled probabilities fit; "member", each alone.
        pool: how the crowd pools, as of `Prediction.pool`.
        kind: "temperature", "variance", or whichever fits the answers.

    Raises:
        ValueError: members are points, answer NaN or something else than the kind is for, or
            shapes do not fit.

    >>> import numpy as np
    >>> said = Normal(np.zeros((2, 4, 1)), np.ones((2, 4, 1)))
    >>> found = fit_recalibration(said, np.full(2, 0.5), np.array([[2.0], [-2.0], [2.0], [-2.0]]))
    >>> round(float(np.squeeze(found.values)), 4)
    2.0
    """
    _check_kind(kind, outputs)
    if isinstance(outputs, Categorical):
        return fit_temperatures(outputs, weights, y, by, pool)
    if isinstance(outputs, Normal):
        return fit_variance(outputs, weights, y, y_mask, by, pool=pool)
    raise ValueError(
        "point members have no probabilities to recalibrate; calibrate intervals with "
        "`crowd.calibrate`, or train members with likelihood='normal'"
    )


def recalibrated(prediction: Prediction, recalibration: Recalibration | None) -> Prediction:
    """The prediction with its members' outputs recalibrated; the weights stay what they were.

    >>> p = Prediction(Normal(np.zeros((1, 2, 1)), np.ones((1, 2, 1))), np.ones(1))
    >>> recalibrated(p, VarianceScale([[2.0]])).std[:, 0]
    array([2., 2.])
    """
    if recalibration is None:
        return prediction
    _check_kind(recalibration.kind, prediction.outputs)
    outputs: Any = prediction.outputs
    return replace(prediction, outputs=recalibration.apply(np, outputs))


def _check_kind(kind: str, outputs: Any) -> None:
    if kind not in ("auto", *KINDS):
        raise ValueError(f"`kind` must be auto, {' or '.join(KINDS)}, got {kind!r}")
    if kind == "temperature" and not isinstance(outputs, Categorical):
        raise ValueError(
            "a temperature is for class probabilities; these members answer numbers: use "
            'kind="variance" where they predict their spread'
        )
    if kind == "variance" and not isinstance(outputs, Normal):
        raise ValueError(
            "variance recalibration scales the stds that members predict; these members answer "
            f"{'classes' if isinstance(outputs, Categorical) else 'points'}"
        )


def from_dict(facts: dict[str, Any]) -> Recalibration:
    """The recalibration that `to_dict` wrote down.

    >>> from_dict(Temperature((1.5,)).to_dict()).values
    (1.5,)
    """
    kind = facts.get("kind")
    if kind not in KINDS:
        raise ValueError(
            f"a recalibration's `kind` must be one of {', '.join(KINDS)}, got {kind!r}"
        )
    return KINDS[kind].from_dict(facts)
