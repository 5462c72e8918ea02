"""Split conformal intervals: how far off the crowd was on rows it had never seen.

For every output (each horizon and target on its own) the scores of the n calibration rows are

    s_j = |y_j − m_j|   ("absolute")      or      s_j = |y_j − m_j| / σ_j   ("scaled")

and the interval is m ∓ q or m ∓ q·σ, where q is the ⌈(n+1)·level⌉-th smallest score, and infinite
if that exceeds n. Source: Vovk et al. 2005; Lei et al. 2018.

What is promised: if the calibration rows and the new one are exchangeable, the interval holds the
truth with probability at least `level`, on average over draws of calibration set and row (not for
every x). What is not: rows of a series are not exchangeable; drift and overlapping windows break
the promise, and then the level is a measured habit, not a guarantee. The adaptive form,
`shoal.score.AdaptiveConformal`, keeps the long-run coverage of a series.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

import numpy as np

from shoal.equations.intervals import check_level

Score = Literal["absolute", "scaled"]
Method = Literal["conformal", "enbpi"]


@dataclass(frozen=True)
class Calibration:
    """The sorted scores of every output, from which an interval of any level follows.

    Attributes:
        scores: (rows, *outputs), ascending; outputs with fewer rows end in +inf.
        counts: (*outputs), how many scores each output has.
        score: "absolute" or "scaled".
        method: "conformal" of rows set aside, or "enbpi" of rows that their members had not seen.
    """

    scores: np.ndarray
    counts: np.ndarray
    score: Score = "absolute"
    method: Method = "conformal"

    def quantile(self, level: float) -> np.ndarray:
        """q of every output, (*outputs), infinite where there are too few rows."""
        return conformal_quantile(self.scores, self.counts, check_level(level))

    def interval(self, level: float, mean, std):
        """(lower, upper) around `mean` (batch, *outputs)."""
        return conformal_interval(self.quantile(level), self.score, mean, std)

    def bounds(self, level: float, prediction: Any):
        """(lower, upper) of a `Prediction`."""
        return self.interval(level, prediction.mean, prediction.std)


def conformal_quantile(scores: np.ndarray, counts: np.ndarray, level) -> np.ndarray:
    """The ⌈(n+1)·level⌉-th smallest score of every output, infinite where that exceeds n.

    `level` is one number or one per output; at most 0 gives 0 and at least 1 gives infinity.

    >>> import numpy as np
    >>> scores = np.arange(1.0, 10.0)[:, None]
    >>> conformal_quantile(scores, np.array([9]), 0.9)
    array([9.])
    >>> conformal_quantile(scores, np.array([9]), 0.95)
    array([inf])
    """
    level = np.broadcast_to(np.asarray(level, float), counts.shape)
    rank = np.ceil(np.round((counts + 1) * level, 9)).astype(int)  # 9 digits: 10·0.9 is not 10
    padded = np.concatenate(
        [np.zeros((1, *counts.shape)), scores, np.full((1, *counts.shape), np.inf)]
    )
    rank = np.where(rank > counts, len(scores) + 1, np.clip(rank, 0, None))
    return np.take_along_axis(padded, rank[None], axis=0)[0]


def conformal_interval(quantile: np.ndarray, score: Score, mean, std):
    """m ∓ q or m ∓ q·σ; an infinite q stays infinite where σ is 0."""
    width = quantile
    if score == "scaled":
        finite = np.isfinite(quantile)
        width = np.where(finite, np.where(finite, quantile, 0.0) * std, np.inf)
    return mean - width, mean + width


def fit_calibration(
    mean, std, y, y_mask=None, score: Score | Literal["auto"] = "auto"
) -> Calibration:
    """The calibration of predictions (rows, *outputs) against the truth.

    Args:
        mean, std: the crowd's predictions, raw units.
        y: the truth; entries that are NaN or masked do not count.
        y_mask: True where the truth was observed.
        score: "auto" is "scaled" where every std is positive, else "absolute". "scaled" without
            any std, as of a single point member, is "absolute": there is nothing to scale by.

    >>> import numpy as np
    >>> fitted = fit_calibration(np.zeros((9, 1)), np.zeros((9, 1)), np.arange(1.0, 10.0)[:, None])
    >>> fitted.score, fitted.quantile(0.5)
    ('absolute', array([5.]))
    """
    mean, std, y = (np.asarray(a, float) for a in (mean, std, y))
    if mean.shape != y.shape:
        raise ValueError(f"`y` must have the predictions' shape {mean.shape}, got {y.shape}")
    if score not in ("auto", "absolute", "scaled"):
        raise ValueError(f"`score` must be auto, absolute or scaled, got {score!r}")
    if score == "auto":
        score = "scaled" if bool(np.all(std > 0)) else "absolute"
    elif score == "scaled" and not np.any(std):
        score = "absolute"
    observed = np.isfinite(y) if y_mask is None else np.asarray(y_mask, bool) & np.isfinite(y)
    scores = np.abs(y - mean)
    if score == "scaled":
        if not np.all(std > 0):
            raise ValueError('the score "scaled" needs a positive std everywhere; use "absolute"')
        scores = scores / std
    scores = np.sort(np.where(observed, scores, np.inf), axis=0)
    return Calibration(scores, observed.sum(axis=0), score)


def rows_needed(level: float) -> int:
    """The smallest calibration set whose interval is finite.

    >>> rows_needed(0.9), rows_needed(0.95)
    (9, 19)
    """
    return ceil(round(1.0 / (1.0 - check_level(level)), 9)) - 1
