"""Anomaly scores: how badly an observation fits what the crowd expected of it.

    residual    |y − m| / σ                    m, σ: mean and total std of the crowd
    nll         −log Σ_i w_i N(y; μ_i, σ_i)    of members that predict their spread, in nats

The total variance is what members say of the noise and what they disagree about, so that a surprise
counts for less where the crowd does not know. Several targets become one score by their maximum, or
their mean. An observation that was forecast several times, from several origins, is scored once by
`per_observation`.

An observation is an anomaly where its score is above a threshold, the ⌈(n+1)·level⌉-th smallest
score of n rows that training did not see (Vovk et al. 2005). If a row is exchangeable with those,
it is flagged with probability at most 1 − level, on average over draws of those rows. For series
that is not so: neighbouring scores depend on one another and the series drifts, and the rate of
false alarms is then a measured habit. How many anomalies are found is never promised.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from shoal.equations.conformal import conformal_quantile, rows_needed
from shoal.equations.intervals import check_level
from shoal.equations.members import check_members
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.prediction import Prediction
from shoal.score.distribution import nll_mixture, nll_normal
from shoal.score.points import observed

Measure = Literal["residual", "nll"]
Combine = Literal["max", "mean"]


def anomaly_scores(
    prediction: Prediction,
    y,
    y_mask=None,
    *,
    measure: Measure = "residual",
    combine: Combine | None = "max",
) -> np.ndarray:
    """How strange each row's truth is: greater is stranger.

    Args:
        prediction: of a crowd, raw units.
        y: the truth, (rows, horizon, targets) or (rows, targets).
        y_mask: True where it was observed; NaN in `y` counts as unobserved.
        measure: "residual", in standard deviations, or "nll", in nats; see the top of this file.
        combine: the targets' scores, into their "max" or "mean"; None keeps every target's own.

    Returns:
        (rows, horizon) or (rows,), with the targets last where `combine` is None; NaN where nothing
        was observed.

    Raises:
        ValueError: classes, shapes that do not fit, a spread that is 0, or "nll" of point members.

    >>> import numpy as np
    >>> from shoal.equations.outputs import Normal
    >>> crowd = Prediction(Normal(np.zeros((2, 3, 1)), np.ones((2, 3, 1))), np.full(2, 0.5))
    >>> anomaly_scores(crowd, np.array([[0.5], [-4.0], [np.nan]]))
    array([0.5, 4. , nan])
    """
    y = _checked(prediction, y)
    if combine not in ("max", "mean", None):
        raise ValueError(f'`combine` must be "max", "mean" or None, got {combine!r}')
    scores = np.where(observed(y, y_mask), _measured(prediction, y, measure), np.nan)
    return scores if combine is None else _combined(scores, combine)


def anomaly_threshold(scores, level: float = 0.99) -> float:
    """The ⌈(n+1)·level⌉-th smallest score: a share `level` of rows like these stay at or below it.

    Args:
        scores: of rows that training did not see and that hold no anomalies, or few; any shape, NaN
            where nothing was observed.
        level: what share of ordinary rows is left in peace; 0.99 needs 99 scores.

    Raises:
        ValueError: a level outside (0, 1), no score that is a number, or too few of them.

    >>> import numpy as np
    >>> anomaly_threshold(np.arange(1.0, 100.0))
    99.0
    """
    known = np.sort(_known(scores))
    needed = rows_needed(check_level(level))
    if len(known) < needed:
        raise ValueError(
            f"a threshold of level {level:g} needs {needed} scores, got {len(known)}; "
            "give more rows, or lower the level"
        )
    return float(conformal_quantile(known[:, None], np.array([len(known)]), level)[0])


def per_observation(
    scores, times, moments=None, combine: Combine = "max"
) -> tuple[np.ndarray, np.ndarray]:
    """One score for every moment, of the forecasts that were made of it.

    Args:
        scores: of any shape; NaN does not count.
        times: what each is the score of, of the same shape: numbers or dates.
        moments: (n,) ascending, when observations were made; each time counts for the nearest one.
            Needed where times are nominal, as `Sequences.target_times` are: a month from 1 February
            is not quite 1 March. By default, times that are equal are one moment.
        combine: the forecasts of one moment, into their "max" or "mean".

    Returns:
        The moments that have a score, ascending, and their scores.

    Raises:
        ValueError: the shapes differ, or no score is a number.

    >>> import numpy as np
    >>> when, score = per_observation([[1.0, 2.0], [5.0, 3.0]], [[1, 2], [2.1, 3]], [0, 1, 2, 3])
    >>> when, score
    (array([1, 2, 3]), array([1., 5., 3.]))
    """
    scores, times = np.asarray(scores, float), np.asarray(times)
    if scores.shape != times.shape:
        raise ValueError(
            f"`times` must have the shape of `scores`, {scores.shape}, got {times.shape}"
        )
    _known(scores)
    seen = ~np.isnan(scores)
    when = times[seen] if moments is None else _nearest(times[seen], np.asarray(moments))
    found, place = np.unique(when, return_inverse=True)
    if combine == "mean":
        counts = np.bincount(place, minlength=len(found))
        return found, np.bincount(place, scores[seen], len(found)) / counts
    highest = np.full(len(found), -np.inf)
    np.maximum.at(highest, place, scores[seen])
    return found, highest


def _nearest(times: np.ndarray, moments: np.ndarray) -> np.ndarray:
    after = np.clip(np.searchsorted(moments, times), 0, len(moments) - 1)
    before = np.maximum(after - 1, 0)
    earlier = np.abs(times - moments[before]) <= np.abs(moments[after] - times)
    return np.where(earlier, moments[before], moments[after])


def _checked(prediction: Prediction, y) -> np.ndarray:
    check_members(prediction.outputs)
    if isinstance(prediction.outputs, Categorical):
        raise ValueError("anomaly scores are of numbers, and this prediction is of classes")
    y = np.asarray(y, float)
    if y.shape != prediction.mean.shape:
        raise ValueError(
            f"`y` must have the prediction's shape {prediction.mean.shape}, got {y.shape}"
        )
    return y


def _measured(p: Prediction, y: np.ndarray, measure: str) -> np.ndarray:
    if measure == "residual":
        if not np.all(p.std > 0):
            raise ValueError(
                "the crowd's spread is 0 somewhere, and there is nothing to measure a residual by; "
                'train members that predict theirs, likelihood "normal"'
            )
        return np.abs(y - p.mean) / p.std
    if measure != "nll":
        raise ValueError(f'`measure` must be "residual" or "nll", got {measure!r}')
    if not isinstance(p.outputs, Normal):
        raise ValueError('point members have no likelihood; use measure="residual"')
    if p.pool.kind == "mixture":
        return nll_mixture(p.weights, p.outputs.mean, p.outputs.std, y)
    return nll_normal(p.mean, p.std, y)


def _combined(scores: np.ndarray, combine: str) -> np.ndarray:
    """Over the targets that were observed."""
    seen = ~np.isnan(scores)
    if combine == "max":
        found = np.where(seen, scores, -np.inf).max(axis=-1)
    else:
        found = np.where(seen, scores, 0.0).sum(axis=-1) / np.maximum(seen.sum(axis=-1), 1)
    return np.where(seen.any(axis=-1), found, np.nan)


def _known(scores) -> np.ndarray:
    scores = np.asarray(scores, float).ravel()
    known = scores[~np.isnan(scores)]
    if not len(known):
        raise ValueError(f"`scores` must hold at least one number, all {len(scores)} are NaN")
    return known
