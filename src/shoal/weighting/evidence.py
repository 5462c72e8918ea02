"""What a rule may learn from: validation losses and, where a rule needs them, predictions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from shoal.equations import coupling, losses
from shoal.equations.outputs import Categorical, Normal


class Evidence(NamedTuple):
    """Validation data that the members were not trained on.

    Attributes:
        losses: (n_models,) each member's validation loss; not finite for a member that diverged.
        predictions: (n_models, rows, ...) what the members said; None where no rule asks.
        y, y_mask: the truth of those rows.
        x, timespans, mask: their inputs.
    """

    losses: np.ndarray
    predictions: Any = None
    y: np.ndarray | None = None
    y_mask: np.ndarray | None = None
    x: np.ndarray | None = None
    timespans: np.ndarray | None = None
    mask: np.ndarray | None = None


def finite_losses(kind: str, losses) -> np.ndarray:
    """The losses, with infinity for members that have none; refused if nobody has one."""
    losses = np.asarray(losses, float)
    if losses.ndim != 1 or not np.isfinite(losses).any():
        raise ValueError(
            f"weighting {kind!r} needs (n_models,) validation losses, at least one of them finite; "
            f"got {losses.tolist()}"
        )
    return np.where(np.isfinite(losses), losses, np.inf)


def check_count(kind: str, weights: np.ndarray | tuple, n_models: int) -> np.ndarray:
    """The weights as an array, one per member or refused."""
    if len(weights) != n_models:
        raise ValueError(
            f"weighting {kind!r} has {len(weights)} weights, but there are {n_models} members"
        )
    return np.asarray(weights, float)


def numbers_of(kind: str, values: Any) -> tuple[float, ...]:
    """Weights that were written down, as numbers.

    >>> numbers_of("fixed", [1, 2])
    (1.0, 2.0)
    """
    try:
        if isinstance(values, str):
            raise TypeError
        return tuple(float(v) for v in values)
    except (TypeError, ValueError):
        raise ValueError(
            f"weights of {kind!r} must be a list of numbers, one per member, got {values!r}"
        ) from None


def not_fitted(kind: str) -> ValueError:
    return ValueError(
        f"weighting {kind!r} has seen no validation losses yet; "
        "use `.fit(Evidence(losses=...))` first"
    )


def needed(kind: str, evidence: Evidence) -> tuple[Any, np.ndarray, np.ndarray]:
    """Predictions, truth and the weight of every truth, or a refusal.

    Members that answered NaN somewhere are no evidence: they are refused by number.
    """
    if evidence.predictions is None or evidence.y is None:
        raise ValueError(
            f"weighting {kind!r} learns from predictions of rows that the members were not "
            "trained on; give Evidence(predictions=..., y=...)"
        )
    _check_shapes(kind, evidence)
    for part in _parts(evidence.predictions):
        bad = np.flatnonzero(np.isnan(part).reshape(len(part), -1).any(1))
        if len(bad):
            raise ValueError(
                f"weighting {kind!r}: members {', '.join(map(str, bad))} predict NaN; leave them "
                "out with `crowd.select(...)`"
            )
    return evidence.predictions, *known_of(evidence.y, evidence.y_mask)


def _check_shapes(kind: str, evidence: Evidence) -> None:
    """Refuses parts that are not of the same members and rows."""
    said = [np.shape(part) for part in _parts(evidence.predictions)]
    classes = isinstance(evidence.predictions, Categorical)
    wanted = said[0][1:-1] if classes else said[0][1:]
    y, members = np.shape(np.asarray(evidence.y)), len(np.atleast_1d(evidence.losses))
    if len(set(said)) > 1 or wanted != y:
        raise ValueError(
            f"weighting {kind!r}: `y` must be (rows, ...) = {wanted} to fit predictions "
            f"(members, rows, ...) = {said[0]}, got {y}"
        )
    if members != said[0][0]:
        raise ValueError(
            f"weighting {kind!r}: `losses` must have one number for each of {said[0][0]} members "
            f"that predict, got {members}"
        )
    for name in ("y_mask", "x", "timespans", "mask"):
        part = getattr(evidence, name)
        if part is not None and np.shape(part)[:1] != y[:1]:
            raise ValueError(
                f"weighting {kind!r}: `{name}` must have the {y[0]} rows of `y` first, "
                f"got {np.shape(part)}"
            )


def known_of(y: Any, y_mask: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """The truth with 0 where there is none, and 1 where there is, 0 elsewhere.

    >>> known_of([1.0, np.nan, 3.0], [True, True, False])
    (array([1., 0., 0.]), array([1., 0., 0.]))
    """
    y = np.asarray(y)
    known = np.isfinite(y) if np.issubdtype(y.dtype, np.floating) else np.ones(y.shape, bool)
    if y_mask is not None:
        mask = np.asarray(y_mask, bool)
        known &= mask.reshape(mask.shape + (1,) * (y.ndim - mask.ndim))
    return np.where(known, y, 0), known.astype(float)


def row_losses(predictions: Any, y: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Each member's own loss on every row, (members, rows); 0 of a row without truth.

    >>> row_losses(np.array([[[1.0], [2.0]]]), np.array([[0.0], [0.0]]), np.ones((2, 1))).tolist()
    [[1.0, 4.0]]
    """
    values = losses.ELEMENTWISE[losses.default_loss(predictions)](np, predictions, y)
    rows = y.shape[0]
    total = (values * known).reshape(len(values), rows, -1).sum(-1)
    return total / np.maximum(known.reshape(rows, -1).sum(-1), 1.0)


def crowd_loss(predictions: Any, weights: np.ndarray, y: np.ndarray, known: np.ndarray) -> float:
    """The mean loss of the weighted crowd."""
    name = losses.default_loss(predictions)
    values = coupling.crowd_loss(np, name, predictions, weights, y)
    return float((values * known).sum() / max(known.sum(), 1.0))


def _parts(predictions: Any) -> tuple[np.ndarray, ...]:
    whole = isinstance(predictions, Normal | Categorical)
    return tuple(np.asarray(p) for p in (predictions if whole else (predictions,)))
