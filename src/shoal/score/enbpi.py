"""Intervals of a crowd for series, from its own latest errors (EnbPI).

The window holds the last n errors e = y − m of every output: at first of rows that the members who
answer them had not seen, later of the forecasts as their truths arrive, the oldest leaving.

    "symmetric"  m ∓ q,  q the ⌈(n+1)·level⌉-th smallest |e|
    "narrowest"  [m + e_(i), m + e_(i+k)],  k = ⌈(n+1)·level⌉, with the i of the narrowest: lopsided
                 errors get a lopsided interval

infinite where n is too small. Source: Xu & Xie 2021, "Conformal prediction interval for dynamic
time-series". Promised, in the limit of long windows: coverage at each step, if the errors are
stationary and mix strongly (the past is forgotten) and the crowd's mean converges. Not promised:
anything for n rows, except that "symmetric" holds at least `level` for exchangeable errors; under
drift it follows a window behind. `adaptive.py` promises the long run of any series, but no step.

The truth of a forecast h steps ahead comes h steps later: every output has its own window, and is
stepped then. Where members were bagged, `out_of_bag` gives the first window without a block set
aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from shoal.equations.conformal import conformal_quantile
from shoal.equations.intervals import check_level
from shoal.equations.members import check_members


@dataclass(frozen=True)
class EnbPI:
    """Intervals from a sliding window of errors.

    Args:
        errors: (window, *outputs) y − m in the order of time, all finite: of out-of-bag
            predictions, or of a calibration block.
        level: the coverage wanted.
        form: "symmetric" or "narrowest".

    Raises:
        ValueError: an error is not finite, or the level or form is unknown.

    >>> import numpy as np
    >>> enbpi = EnbPI(np.arange(-9.0, 10.0)[:, None])
    >>> state = enbpi.init()
    >>> state, info = enbpi.step(state, np.zeros(1), y=np.array([100.0]))
    >>> info["lower"], info["upper"], bool(info["miss"]), state[-1]
    (array([-9.]), array([9.]), True, array([100.]))
    """

    errors: np.ndarray
    level: float = 0.9
    form: Literal["symmetric", "narrowest"] = "symmetric"

    def __post_init__(self):
        check_level(self.level)
        errors = np.asarray(self.errors, float)
        if errors.ndim < 1 or not len(errors) or not np.isfinite(errors).all():
            raise ValueError(
                "`errors` must be (window, *outputs), with rows and all finite; drop rows whose "
                "truth is missing, or that no member could answer unseen"
            )
        if self.form not in ("symmetric", "narrowest"):
            raise ValueError(f'`form` must be "symmetric" or "narrowest", got {self.form!r}')
        object.__setattr__(self, "errors", errors)

    def init(self) -> np.ndarray:
        """The state before the first truth: the window, oldest first."""
        return self.errors.copy()

    def interval(self, state: np.ndarray, mean) -> tuple[np.ndarray, np.ndarray]:
        """(lower, upper) around `mean` (*outputs) or (batch, *outputs), without new truths."""
        below, above = self._offsets(state)
        return mean + below, mean + above

    def step(self, state: np.ndarray, mean, y) -> tuple[np.ndarray, dict]:
        """The window after truth `y` (NaN: unobserved, nothing moves), and what was found."""
        lower, upper = self.interval(state, mean)
        y = np.asarray(y, float)
        seen = np.isfinite(y)
        miss = seen & ~((lower <= y) & (y <= upper))
        moved = np.concatenate([state[1:], (y - mean)[None]])
        return np.where(seen, moved, state), {"lower": lower, "upper": upper, "miss": miss}

    def _offsets(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, outputs = len(state), state.shape[1:]
        if self.form == "symmetric":
            scores, counts = np.sort(np.abs(state), axis=0), np.full(outputs, rows)
            reach = conformal_quantile(scores, counts, self.level)
            return -reach, reach
        gaps = int(np.ceil(np.round((rows + 1) * self.level, 9)))
        if gaps >= rows:  # no two errors are so far apart
            return np.full(outputs, -np.inf), np.full(outputs, np.inf)
        ordered = np.sort(state, axis=0)
        first = (ordered[gaps:] - ordered[:-gaps]).argmin(axis=0)[None]
        below, above = (np.take_along_axis(ordered, at, axis=0)[0] for at in (first, first + gaps))
        return below, above


def out_of_bag(members, in_bag, weights=None) -> np.ndarray:
    """The mean of the members that did not train on a row; NaN where all of them did.

    Args:
        members: (members, rows, *outputs), predictions of the training rows.
        in_bag: (members, rows), how often each row was drawn for each member (or True, False).
        weights: (members,), (members, rows) or (members, rows, steps), at least 0; all alike by
            default.

    Returns:
        (rows, *outputs).

    >>> import numpy as np
    >>> out_of_bag(np.array([[1.0, 1.0], [3.0, 3.0]]), [[1, 0], [0, 0]])
    array([3., 2.])
    """
    members, unseen = np.asarray(members, float), np.asarray(in_bag) == 0
    if members.ndim < 2 or unseen.shape != members.shape[:2]:
        raise ValueError(
            "`in_bag` must be (members, rows) to fit `members` (members, rows, *outputs), got "
            f"{unseen.shape} and {members.shape}"
        )
    check_members(members)
    own = np.ones(len(members)) if weights is None else np.asarray(weights, float)
    if own.shape[:2] not in (unseen.shape, unseen.shape[:1]) or (own < 0).any():
        raise ValueError(
            "`weights` must be (members,) or (members, rows, ...), and at least 0, "
            f"got {own.shape} for members {unseen.shape}"
        )
    wide = (..., *(None,) * (members.ndim - 2))
    own = own[:, None] if own.ndim == 1 else own
    shares = np.where(unseen[wide], own[(..., *(None,) * (members.ndim - own.ndim))], 0.0)
    whole = shares.sum(axis=0)
    total = (shares * members).sum(axis=0)
    return np.where(whole > 0, total / np.where(whole > 0, whole, 1.0), np.nan)
