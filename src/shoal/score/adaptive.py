"""Adaptive conformal intervals for series, whose rows are not exchangeable.

After each truth the miss rate asked for is moved against what happened:

    a_{t+1} = a_t + γ(α − [y_t outside]),      α = 1 − level

Source: Gibbs & Candès 2021, "Adaptive conformal inference under distribution shift". Promised, for
any series whatever: over T steps the share of misses differs from α by at most
(max(α, 1 − α) + γ)/(γT). Not promised: anything about a single step. Each output adapts on its own;
the truth of a forecast h steps ahead comes h steps later, and is to be stepped with then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shoal.equations.conformal import Calibration, conformal_interval, conformal_quantile
from shoal.equations.intervals import check_level


@dataclass(frozen=True)
class AdaptiveConformal:
    """Intervals whose long-run coverage follows `level`, one step at a time.

    Args:
        calibration: the scores to take quantiles of, as of a calibrated collective.
        level: the coverage aimed at.
        gamma: γ, how fast the level adapts; Gibbs & Candès use 0.005.

    >>> import numpy as np
    >>> from shoal.equations.conformal import fit_calibration
    >>> zeros = np.zeros((99, 1))
    >>> aci = AdaptiveConformal(fit_calibration(zeros, zeros, np.arange(1.0, 100.0)[:, None]))
    >>> state = aci.init()
    >>> state, info = aci.step(state, np.zeros(1), np.zeros(1), y=np.array([1000.0]))
    >>> info["upper"], bool(info["miss"]), (1 - state).round(4)  # missed: the level rises
    (array([90.]), True, array([0.9045]))
    """

    calibration: Calibration
    level: float = 0.9
    gamma: float = 0.005

    def __post_init__(self):
        check_level(self.level)
        if not self.gamma > 0:
            raise ValueError(f"`gamma` must be positive, got {self.gamma!r}")

    def init(self) -> np.ndarray:
        """The state before the first truth: the miss rate a of every output."""
        return np.full(self.calibration.counts.shape, 1.0 - self.level)

    def interval(self, state: np.ndarray, mean, std) -> tuple[np.ndarray, np.ndarray]:
        """(lower, upper) for one row (*outputs): a point if a ≥ 1, everything if a ≤ 0."""
        c = self.calibration
        return conformal_interval(
            conformal_quantile(c.scores, c.counts, 1.0 - state), c.score, mean, std
        )

    def step(self, state: np.ndarray, mean, std, y) -> tuple[np.ndarray, dict]:
        """The state after truth `y` (NaN: unobserved, nothing moves), and what was found."""
        lower, upper = self.interval(state, mean, std)
        y = np.asarray(y, float)
        seen = np.isfinite(y)
        miss = seen & ~((lower <= y) & (y <= upper))
        moved = state + self.gamma * ((1.0 - self.level) - miss)
        return np.where(seen, moved, state), {"lower": lower, "upper": upper, "miss": miss}
