"""A rule at work: from the members' answers to the crowd's."""

from __future__ import annotations

from typing import Any

import numpy as np

from shoal.equations.conformal import Calibration
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.pooling import MIXTURE, Pool, check_pool
from shoal.equations.prediction import Prediction


def combined(
    rule: Any, outputs: Any, asked: Any, calibration: Calibration | None = None
) -> Prediction:
    """What the members' answers come to.

    Args:
        rule: a weighting.
        outputs: what the members said, in the units of the targets.
        asked: what they were asked, with `x`, `timespans` and `mask`.
        calibration: of the crowd.

    Raises:
        ValueError: the rule cannot combine such answers.

    >>> from types import SimpleNamespace
    >>> from shoal.weighting import Uniform
    >>> asked = SimpleNamespace(x=np.zeros((1, 1)), timespans=None, mask=None)
    >>> combined(Uniform(), np.array([[1.0], [3.0]]), asked).mean
    array([2.])
    """
    pool = pool_of(rule)
    check_pool(pool.kind, outputs)
    n = len(outputs[0] if isinstance(outputs, Normal | Categorical) else outputs)
    weights = rule.weights(n, asked.x, asked.timespans, asked.mask, outputs)
    return Prediction(outputs, np.asarray(weights, float), calibration, pool)


def pool_of(rule: Any) -> Pool:
    """How a rule's weighted answers become one; a mixture, unless it says otherwise."""
    return getattr(rule, "pool", MIXTURE)
