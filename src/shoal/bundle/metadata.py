"""`ensemble_metadata.json`: which members there were, how they did, and which is the best.

Mean, standard deviation and variance are over the members with a finite loss, divided by their
number n. Members without one are null, and never the best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np


def ensemble_metadata(
    *,
    seeds: Sequence[int],
    validation_losses: Sequence[float | None],
    training_config: Mapping[str, Any],
    base_seed: int | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The metadata of an ensemble, as JSON.

    Args:
        seeds: of every member.
        validation_losses: of every member, those of the parameters that are exported for it.
        training_config: the resolved configuration.
        base_seed: the first seed by default.
        more: what else is known, such as `final_validation_losses`, `statuses`, `best_epochs`,
            `versions`, `data_hash`, `collective`; numbers that are not finite become null.

    Raises:
        ValueError: there is not one loss per seed, or none of them is finite.

    >>> found = ensemble_metadata(
    ...     seeds=[42, 43, 44], validation_losses=[3.0, 1.0, float("nan")], training_config={}
    ... )
    >>> found["best_model_index"], found["mean_loss"], found["variance_loss"]
    (1, 2.0, 1.0)
    >>> found["validation_losses"]
    [3.0, 1.0, None]
    """
    if len(seeds) != len(validation_losses) or not len(seeds):
        raise ValueError(
            "there must be one validation loss per member, "
            f"got {len(validation_losses)} losses and {len(seeds)} seeds"
        )
    losses = np.array([np.nan if v is None else float(v) for v in validation_losses])
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        raise ValueError("no member has a finite validation loss; there is no best one to export")
    best = int(np.nanargmin(np.where(np.isfinite(losses), losses, np.nan)))
    return plain(
        {
            "n_models": len(seeds),
            "base_seed": seeds[0] if base_seed is None else base_seed,
            "seeds": list(seeds),
            "validation_losses": losses.tolist(),
            "mean_loss": finite.mean(),
            "std_loss": finite.std(),
            "variance_loss": finite.var(),
            "best_model_index": best,
            "best_model_seed": seeds[best],
            "best_model_loss": losses[best],
            "training_config": training_config,
            **more,
        }
    )


def plain(value: Any) -> Any:
    """What JSON can hold: arrays as lists, paths as text, numbers that are not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(each) for each in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
