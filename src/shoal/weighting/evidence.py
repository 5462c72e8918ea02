"""What a rule may learn from: validation losses and, where a rule needs them, predictions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Evidence(NamedTuple):
    """Validation data that the members were not trained on.

    Attributes:
        losses: (n_models,) each member's validation loss; not finite for a member that diverged.
        predictions: (n_models, rows, ...) what the members said; None where no rule asks.
        y, y_mask: the truth of those rows.
        x, timespans: their inputs.
    """

    losses: np.ndarray
    predictions: Any = None
    y: np.ndarray | None = None
    y_mask: np.ndarray | None = None
    x: np.ndarray | None = None
    timespans: np.ndarray | None = None


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


def not_fitted(kind: str) -> ValueError:
    return ValueError(
        f"weighting {kind!r} has seen no validation losses yet; "
        "use `.fit(Evidence(losses=...))` first"
    )
