"""What a learning-rate range test reads from its losses.

    s_t = (1 − β) Σ_k β^(t−k) ℓ_k / (1 − β^(t+1))     a member's losses, smoothed without bias
    m_t = median over the members of s_t              ∞ for one whose loss is not finite any more
    the end of the test: m_t > b + 3 max(|b|, m_0 − b),   b = min m
    η*  = min(η where m falls steepest over log η before its minimum, η at the minimum / 10)

Losses that begin near their best and cannot be negative end at four times the best; a likelihood,
which can, or a loss that has fallen far, is given room in proportion.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017 (the range test).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_ROOM = 3.0
_REACH = 0.125  # decades to either side, over which a slope is taken


class Reading(NamedTuple):
    """What a curve says.

    Attributes:
        rate: to train with, None where the curve says nothing.
        steepest, minimum: the steps at which the loss falls most, and is least.
        reason: how the rate was chosen, or why there is none.
    """

    rate: float | None
    steepest: int | None
    minimum: int
    reason: str


def smoothed(losses: Float[np.ndarray, "members steps"], beta: float = 0.9) -> np.ndarray:
    """Every member's running mean, bias-corrected; infinite from the first loss that is not finite.

    >>> smoothed(np.array([[4.0, 2.0, np.nan, 1.0]]), beta=0.5).round(3).tolist()
    [[4.0, 2.667, inf, inf]]
    """
    lost = np.logical_or.accumulate(~np.isfinite(losses), axis=1)
    mean, found = np.zeros(len(losses)), np.empty(losses.shape)
    for step, now in enumerate(np.where(lost, 0.0, losses).T):
        mean = beta * mean + (1 - beta) * now
        found[:, step] = mean / (1 - beta ** (step + 1))
    return np.where(lost, np.inf, found)


def median_of(smooth: Float[np.ndarray, "members steps"]) -> Float[np.ndarray, " steps"]:
    """The median over the members, infinite where half of them are lost.

    >>> median_of(np.array([[1.0, 1.0], [3.0, np.inf]])).tolist()
    [2.0, inf]
    """
    return np.median(smooth, axis=0)


def has_left(median: Float[np.ndarray, " steps"]) -> bool:
    """Whether the last step lies so far above the best that the test may end.

    >>> [has_left(np.array(m)) for m in ([1.0, 3.9], [1.0, 4.1], [1.0, -1.0, 4.9], [1.0, np.inf])]
    [False, True, False, True]
    """
    best = median.min()
    return not median[-1] <= best + _ROOM * max(abs(best), median[0] - best)


def read(
    rates: Float[np.ndarray, " steps"],
    losses: Float[np.ndarray, "members steps"],
    beta: float = 0.9,
) -> Reading:
    """The suggestion of a range test.

    The first 1/(1 − β) steps, whose mean is over few batches, cannot be chosen. A fall that is
    less than the standard deviation of the batches' losses about the smoothed ones is none.

    Args:
        rates: of every step, evenly spread in the logarithm, growing.
        losses: of every member at every step, before the step is taken.
        beta: of the running mean, in [0, 1).
    """
    median = median_of(smoothed(losses, beta))
    first, lost = round(1 / (1 - beta)), np.flatnonzero(~np.isfinite(median))
    known = lost[0] if len(lost) else len(median)
    if known <= first:
        return Reading(None, None, max(known - 1, 0), "the loss is lost at once; begin lower")
    minimum = first + int(np.argmin(median[first:known]))
    least, tenth = f"{rates[minimum]:.2g}", rates[minimum] / 10
    fall, noise = median[first] - median[minimum], _noise(losses, median, minimum)
    if fall <= noise:
        reason = f"the loss falls by {fall:.3g} only, batches differ by {noise:.3g}; take others"
        return Reading(None, None, minimum, reason)
    if tenth < rates[0]:
        return Reading(None, None, minimum, f"the loss is least at {least} already; begin lower")
    slopes = _slopes(np.log10(rates[:known]), median[:known])
    steepest = first + int(np.argmin(slopes[first : minimum + 1]))
    ends = ", the highest rate that was tried" if minimum == len(rates) - 1 else ""
    if rates[steepest] <= tenth:
        reason = f"where the loss falls steepest; it is least at {least}{ends}"
        return Reading(float(rates[steepest]), steepest, minimum, reason)
    reason = f"a tenth of {least}{ends}, where the loss is least; it falls steepest at "
    return Reading(float(tenth), steepest, minimum, f"{reason}{rates[steepest]:.2g}")


def _noise(losses: np.ndarray, median: np.ndarray, last: int) -> float:
    """The standard deviation of the batches' losses about the smoothed ones, up to a step."""
    known = np.where(np.isfinite(losses), losses, np.inf)
    return float(np.std(np.median(known, axis=0)[: last + 1] - median[: last + 1]))


def _slopes(decades: np.ndarray, median: np.ndarray) -> np.ndarray:
    """Of the chord from `_REACH` before to as much after, less at the ends."""
    steps, reach = np.arange(len(median)), max(1, round(_REACH / (decades[1] - decades[0])))
    before, after = np.maximum(steps - reach, 0), np.minimum(steps + reach, len(median) - 1)
    return (median[after] - median[before]) / (decades[after] - decades[before])
