"""What a collective answers: the members' predictions, their weights, and what follows from them.

The members' stacked answers and the weights are kept; mean, uncertainty and intervals are computed
from them when asked, in NumPy and double precision. The equations are in `combine.py`,
`intervals.py` and `conformal.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shoal.equations.combine import Moments, moments, softmax
from shoal.equations.conformal import Calibration
from shoal.equations.conformal_quantile import QuantileCalibrations
from shoal.equations.intervals import mixture_interval, normal_interval
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.pooling import MIXTURE, Pool, pooled

_CACHED = 2**14  # numbers that are worked on at once


@dataclass(frozen=True)
class Prediction:
    """The prediction of a crowd for `batch` rows.

    Attributes:
        outputs: what the members said, stacked: an array (members, batch, ...) of points, a
            `Normal` or a `Categorical` of such arrays, in the units of the targets.
        weights: (members,) or (members, batch), summing to one over the members.
        calibration: makes `interval` conformal; None leaves it to the members.
        pool: how the weighted answers become one; a mixture, unless a rule says otherwise.

    >>> import numpy as np
    >>> p = Prediction(np.array([[1.0], [3.0]]), np.array([0.5, 0.5]))
    >>> p.mean, p.std, p.epistemic, p.aleatoric
    (array([2.]), array([1.]), array([1.]), array([0.]))
    """

    outputs: np.ndarray | Normal | Categorical
    weights: np.ndarray
    calibration: Calibration | QuantileCalibrations | None = None
    pool: Pool = MIXTURE

    @cached_property
    def members(self) -> np.ndarray:
        """Every member's own answer, (members, batch, ...): points, means or probabilities."""
        if isinstance(self.outputs, Normal):
            return self.outputs.mean
        if isinstance(self.outputs, Categorical):
            return softmax(np, self.outputs.logits)
        return self.outputs

    @cached_property
    def _moments(self) -> Moments:
        return pooled(np, self.pool, self.weights, self.outputs)

    @property
    def mean(self) -> np.ndarray:
        """The weighted mean, (batch, ...); for classes the mean probabilities."""
        return self._moments.mean

    @property
    def aleatoric(self) -> np.ndarray:
        """The variance the members themselves predict: Σ w σ², 0 for points. Classes: Σ w H(p)."""
        return self._moments.aleatoric

    @property
    def epistemic(self) -> np.ndarray:
        """The variance between members: Σ w (μ − mean)². For classes the mutual information."""
        return self._moments.epistemic

    @property
    def total(self) -> np.ndarray:
        """`aleatoric + epistemic`: the predictive variance; for classes the entropy, in nats."""
        return self._moments.total

    @cached_property
    def std(self) -> np.ndarray:
        """√total, (batch, ...); for classes the spread of the probabilities between members."""
        if isinstance(self.outputs, Categorical):
            shares = np.abs(self.weights) / np.abs(self.weights).sum(axis=0)
            return np.sqrt(moments(shares, self.members).epistemic)
        return np.sqrt(self.total)

    @property
    def probabilities(self) -> np.ndarray:
        """(batch, classes): the members' probabilities averaged, never their logits."""
        if not isinstance(self.outputs, Categorical):
            raise AttributeError("only a prediction of classes has probabilities; use `.mean`")
        return self.mean

    @property
    def calibrated(self) -> bool:
        """Whether `interval` is conformal."""
        return self.calibration is not None

    def interval(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """The central interval (lower, upper), each (batch, ...), meant to hold `level` of truths.

        Conformal where the crowd is calibrated; else that of the members' mixture; of point
        members mean ∓ z·std, which knows nothing of the noise in the targets. Infinite for boosted
        members without a calibration, since parts of a sum have no spread.

        Raises:
            ValueError: the level is not between 0 and 1, or the prediction is of classes.

        >>> import numpy as np
        >>> p = Prediction(np.array([[1.0], [3.0]]), np.array([0.5, 0.5]))
        >>> [float(bound.round(2)[0]) for bound in p.interval(0.9)]
        [0.36, 3.64]
        """
        if self.calibration is not None and not isinstance(self.outputs, Categorical):
            return self.calibration.bounds(level, self)
        return self.own_interval(level)

    def own_interval(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """`interval` as it is without a calibration.

        Raises:
            ValueError: as of `interval`.
        """
        if isinstance(self.outputs, Categorical):
            raise ValueError("classes have no interval; use `.probabilities`")
        if self.pool.kind == "sum":  # parts of one answer have no spread: nothing is known
            return self.mean - np.inf, self.mean + np.inf
        mixture = self.pool.kind == "mixture" and len(self.members) > 1
        if mixture and isinstance(self.outputs, Normal):
            return _mixture_interval(level, self.weights, self.outputs)
        return normal_interval(level, self.mean, self.std)

    def __len__(self) -> int:
        """The number of rows."""
        return self.members.shape[1]


def _mixture_interval(level: float, weights: np.ndarray, members: Normal):
    """Some rows at a time: what fits the processor's cache is several times faster."""
    per_row = members.mean[:, :1].size
    rows = max(1, _CACHED // per_row)
    parts = []
    for start in range(0, members.mean.shape[1], rows):
        part = slice(start, start + rows)
        own = weights if weights.ndim == 1 else weights[:, part]
        parts.append(mixture_interval(np, level, own, members.mean[:, part], members.std[:, part]))
    lower, upper = (np.concatenate(bounds) for bounds in zip(*parts, strict=True))
    return lower, upper
