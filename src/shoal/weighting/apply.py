"""A rule at work: from the members' answers to the crowd's."""

from __future__ import annotations

from typing import Any

import numpy as np

from shoal.equations.combine import Moments
from shoal.equations.conformal import Calibration
from shoal.equations.conformal_quantile import QuantileCalibrations
from shoal.equations.namespaces import alike, namespace
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.pooling import MIXTURE, Pool, check_pool, pooled
from shoal.equations.prediction import Prediction


def combined(
    rule: Any,
    outputs: Any,
    asked: Any,
    calibration: Calibration | QuantileCalibrations | None = None,
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
    _check_rule(rule, pool, outputs)
    n = len(_first(outputs))
    weights = rule.weights(n, asked.x, asked.timespans, asked.mask, outputs)
    return Prediction(outputs, np.asarray(weights, float), calibration, pool)


def moments_of(rule: Any, outputs: Any, x=None, timespans=None, mask=None) -> Moments:
    """The crowd's mean and the two parts of its uncertainty, in the arrays' own framework.

    Pure arithmetic: with arrays of JAX it may be traced (`jit`, `vmap`, `grad`), with tensors of
    PyTorch and arrays of MLX it stays among them. Values are not checked.

    Args:
        rule: a fitted weighting.
        outputs: what the members said, members first: an array, `Normal` or `Categorical`.
        x, timespans, mask: what they were asked, where the rule depends on it.

    Raises:
        ValueError: the rule cannot combine such answers.

    >>> from shoal.weighting import Fixed
    >>> moments_of(Fixed([1, 3]), np.array([[1.0], [3.0]])).mean
    array([2.5])
    """
    pool, first = pool_of(rule), _first(outputs)
    _check_rule(rule, pool, outputs)
    weights = alike(rule.weights(first.shape[0], x, timespans, mask, outputs), first)
    if pool.kind in ("linear", "sum"):
        pool = pool._replace(intercept=alike(pool.intercept, first))
    return pooled(namespace(first), pool, weights, outputs)


def pool_of(rule: Any) -> Pool:
    """How a rule's weighted answers become one; a mixture, unless it says otherwise."""
    return getattr(rule, "pool", MIXTURE)


def _check_rule(rule: Any, pool: Pool, outputs: Any) -> None:
    """Refuses, in the rule's own name, answers that it cannot combine."""
    try:
        check_pool(pool.kind, outputs)
    except ValueError as error:
        kind, what = getattr(rule, "kind", type(rule).__name__), str(error).partition(";")[0]
        raise ValueError(f"weighting {kind!r}: {what}; use another, such as 'uniform'") from None


def _first(outputs: Any) -> Any:
    return outputs[0] if isinstance(outputs, Normal | Categorical) else outputs
