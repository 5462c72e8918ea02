"""What modules of another framework are trained to make small, over its array namespace `xp`.

    independent   Σ_i L_i,   L_i = Σ w ℓ(f_i, y) / Σ w        ℓ of `shoal.equations.losses`
    coupled       J(f_1 … f_n)                                of `shoal.equations.coupling`

Members whose answers are not finite are no part of a coupled crowd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from shoal.equations import losses
from shoal.equations.answers import each, stacked
from shoal.equations.outputs import Categorical, Normal
from shoal.population.coupling import Coupling
from shoal.population.samples import Samples


class Objective(NamedTuple):
    """A loss and what ties members together, if anything."""

    xp: Any
    stop: Callable
    loss: Any
    coupling: Coupling | None

    def __call__(self, answers: Sequence[Any], batch: Samples, weights: Sequence[Any]):
        """(what is differentiated, members' own losses, what the coupling adds for each).

        Args:
            answers: one per member.
            batch: arrays of the framework.
            weights: (rows,) for every member.
        """
        xp = self.xp
        pairs = zip(answers, weights, strict=True)
        own = xp.stack([self.own(f, batch, w) for f, w in pairs], 0)
        if self.coupling is None:
            return own.sum(), own, 0.0 * own[0]
        everyone, shares = shared(xp, answers)
        targets = self.target_weights(batch, weights[0])
        total = self.coupling(xp, self.stop, self.loss, everyone, shares, batch.y, targets)
        alone = xp.where(shares > 0, own, xp.zeros_like(own)).sum()
        return total, own, (total - alone) * shares.max()

    def own(self, answer: Any, batch: Samples, weights: Any) -> Any:
        """One member's mean loss."""
        check_shape(answer, batch.y)
        weights = self.target_weights(batch, weights)
        if not callable(self.loss):
            name = losses.default_loss(answer) if self.loss is None else self.loss
            values = losses.ELEMENTWISE[name](self.xp, answer, batch.y)
            return losses.weighted_mean(self.xp, values, weights)
        values: Any = self.loss(answer, batch.y, weights > 0)
        if values.ndim == 0:
            return values
        if tuple(values.shape) != tuple(weights.shape):
            raise ValueError(
                "`loss` must return one number, or one value per target, "
                f"{tuple(weights.shape)}; got {tuple(values.shape)}"
            )
        return losses.weighted_mean(self.xp, values, weights)

    def target_weights(self, batch: Samples, weights: Any) -> Any:
        """How much every target counts, in the shape of y."""
        ones = 0.0 * batch.y + 1.0
        weights = _wide(weights, batch.y) * ones
        return weights if batch.y_mask is None else weights * _wide(batch.y_mask, batch.y)


def check_shape(answer: Any, y: Any) -> None:
    """Refuses answers that would be broadcast against their targets."""
    classes = isinstance(answer, Categorical)
    first = answer[0] if isinstance(answer, Normal | Categorical) else answer
    shape, wanted = tuple(first.shape[:-1] if classes else first.shape), tuple(y.shape)
    if shape != wanted:
        raise ValueError(
            f"predictions must have the shape of y, {wanted}, got {shape}; "
            "reshape y, or give the members a head of that shape"
        )
    if classes and "float" in str(y.dtype):
        raise ValueError(f"members answer classes, so y must hold integers, got {y.dtype}")


def shared(xp, answers: Sequence[Any]) -> tuple[Any, Any]:
    """All members' answers, members first, and their shares in the crowd.

    An answer that is not finite has the share 0, and harmless numbers in its place.

    >>> shared(np, [np.array([1.0]), np.array([np.nan])])
    (array([[1.],
           [0.]]), array([1., 0.]))
    """
    everyone = stacked(xp, answers)
    first = everyone[0] if isinstance(everyone, Normal | Categorical) else everyone
    fine = xp.isfinite(first).reshape(len(answers), -1).all(1)
    if isinstance(everyone, Normal):
        fine = fine & xp.isfinite(everyone.std).reshape(len(answers), -1).all(1)
    quiet = xp.ones_like if isinstance(everyone, Normal) else xp.zeros_like
    counts = 1.0 * fine
    shares = counts / xp.where(counts.sum() > 0, counts.sum(), xp.ones_like(counts[0]))
    return each(lambda part: xp.where(_wide(fine, part), part, quiet(part)), everyone), shares


def counted(samples: Samples, rows: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """(members,) the total weight of the targets in some rows, for every member.

    >>> y = Samples(np.ones((3, 1)), None, None, np.ones((3, 2)), None)
    >>> counted(y, np.array([0, 2]), [np.ones(2), np.array([0.0, 2.0])]).tolist()
    [4.0, 4.0]
    """
    known = np.ones(np.shape(samples.y))[rows]
    if samples.y_mask is not None:
        known = known * _wide(np.asarray(samples.y_mask, float)[rows], known)
    each_row = known.reshape(len(rows), -1).sum(1)
    return np.array([(each_row * w).sum() for w in weights])


def _wide(array: Any, like: Any) -> Any:
    """The array with axes of one at its end, as many as `like` has."""
    return array[(..., *(None,) * (like.ndim - array.ndim))]
