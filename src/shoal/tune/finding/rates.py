"""The learning-rate range test, of a whole population at once.

All members take the same steps, while the rate grows by the same factor from each to the next; the
loss of the median member is read (see `curve.py`). The test ends once that loss is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from shoal.population import Population
from shoal.population.samples import Order, shuffled
from shoal.tune.finding.curve import Reading, has_left, median_of, read, smoothed
from shoal.tune.finding.stepping import Stepping

_LEAST = 20  # steps


@dataclass(frozen=True)
class RateRange:
    """What a range test saw.

    Attributes:
        rates: of the steps that were taken, (steps,).
        losses: of every member before each step, (members, steps).
        seeds: the members'.
        smoothing: of the running mean.
        reading: where the curve falls steepest, and is least.
    """

    rates: np.ndarray
    losses: np.ndarray
    seeds: tuple[int, ...]
    smoothing: float
    reading: Reading

    @property
    def suggestion(self) -> float | None:
        """The learning rate to train with, to two digits; None where the test says nothing."""
        return None if self.reading.rate is None else float(f"{self.reading.rate:.2g}")

    @property
    def reason(self) -> str:
        """How it was chosen, or why there is none."""
        return self.reading.reason

    @property
    def smoothed(self) -> np.ndarray:
        """(members, steps), infinite where a member's loss was lost."""
        return smoothed(self.losses, self.smoothing)

    @property
    def median(self) -> np.ndarray:
        """(steps,), of the smoothed losses."""
        return median_of(self.smoothed)


def learning_rate_range(
    population: Population,
    train: Any,
    *,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 140,
    smoothing: float = 0.9,
    batch_size: int = 64,
    data_seed: int = 0,
    **training: Any,
) -> RateRange:
    """Looks for the learning rate at which these members learn fastest.

    Args:
        population: the members; left as it is.
        train: samples as `shoal.fit` takes them.
        low, high: the first and the last rate.
        steps: one batch each; 20 a decade by default. The test ends early once the loss is lost.
        smoothing: β of the running mean of the losses, in [0, 1).
        batch_size, data_seed: as training will have them, since the rate depends on the batch. The
            smaller last batch of a pass is left out.
        training: weight_decay, dropout, optimizer, clip_norm, loss and strategy, as of `shoal.fit`.

    Raises:
        ValueError: `low` is not below `high`, there are fewer than 20 steps, or `batch_size` is
            above the number of samples.

    Source: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017.

    >>> import equinox as eqx, jax
    >>> class Line(eqx.Module):
    ...     w: jax.Array
    ...
    ...     def __call__(self, x, timespans=None, *, mask=None, key=None):
    ...         return x @ self.w
    >>> x = np.random.default_rng(0).normal(size=(256, 3)).astype(np.float32)
    >>> crowd = Population.init(lambda key: Line(jax.random.normal(key, (3, 1))), n_models=3)
    >>> found = learning_rate_range(crowd, (x, x @ np.ones((3, 1), np.float32)), batch_size=64)
    >>> 0.01 < found.suggestion < 0.5
    True
    """
    _check(low, high, steps, smoothing)
    stepping = Stepping.of(population, train, **training)
    if batch_size > stepping.count:
        raise ValueError(
            f"`batch_size` must not be above the number of samples, {stepping.count}, got "
            f"{batch_size}; make it smaller"
        )
    rates = np.geomspace(low, high, steps)
    losses = np.empty((stepping.members, 0))
    for number, (rate, batch) in enumerate(
        zip(rates, _batches(stepping.count, batch_size, data_seed), strict=False)
    ):
        told = stepping.take(batch, rate[None], number)
        losses = np.concatenate([losses, told[:, None]], axis=1)
        if has_left(median_of(smoothed(losses, smoothing))):
            break
    taken = rates[: losses.shape[1]]
    return RateRange(taken, losses, population.seeds, smoothing, read(taken, losses, smoothing))


def _batches(rows: int, batch_size: int, data_seed: int) -> Iterator[Order]:
    """Full batches, one at a time, in the order of training, pass after pass."""
    for epoch in count():
        order = shuffled(rows, batch_size, data_seed, epoch)
        for batch, weights in zip(*order, strict=True):
            if weights.all():
                yield Order(batch[None], weights[None])


def _check(low: float, high: float, steps: int, smoothing: float) -> None:
    if not 0 < low < high < float("inf"):
        raise ValueError(
            f"`low` must be above 0 and below `high`, got {low:g} and {high:g}; "
            "exchange or change them"
        )
    if steps < _LEAST:
        raise ValueError(f"`steps` must be at least {_LEAST}, got {steps}; take more")
    if not 0 <= smoothing < 1:
        raise ValueError(f"`smoothing` must lie in [0, 1), got {smoothing:g}")
