"""The batch size from which larger ones bring little: throughput and memory, measured.

Sizes double up to the number of samples. Each is compiled, weighed against the device's memory, and
timed over the same number of rows, steps of rate 0; the median of several passes counts. The
smallest size within a share of the best throughput is taken, since for one pass over the data a
smaller batch takes more steps, and learns more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shoal.population import Population
from shoal.population.samples import Order
from shoal.tune.finding.memory import TooLarge, Weighed, device_limit, ran_out
from shoal.tune.finding.stepping import Stepping

_STEADY, _MOST = 0.2, 100  # seconds of passes that are enough, and passes


@dataclass(frozen=True)
class Measured:
    """One size.

    Attributes:
        size: rows of a batch.
        rows_per_second: that all members learn from; None where it did not run.
        bytes: that the program needs on a device, None where the backend does not say.
        reason: why it did not run.
    """

    size: int
    rows_per_second: float | None
    bytes: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class BatchSizes:
    """What was measured, and what follows.

    Attributes:
        measured: by size, growing; the last one may be too large.
        limit: bytes of a device, None where unknown.
        suggestion: the size to train with.
        reason: why.
    """

    measured: tuple[Measured, ...]
    limit: int | None
    suggestion: int
    reason: str


def batch_size(
    population: Population,
    train: Any,
    *,
    sizes: Sequence[int] | None = None,
    rows: int = 512,
    repeats: int = 3,
    within: float = 0.1,
    **training: Any,
) -> BatchSizes:
    """Looks for the batch size from which these members' training gets little faster.

    Args:
        population: the members; left as it is.
        train: samples as `shoal.fit` takes them.
        sizes: to measure, growing; by default 16, 32, … up to the number of samples.
        rows: of a pass that is timed, at least one batch; more are steadier, and slower.
        repeats: passes at least, of which the median counts; of short ones there are more.
        within: how far from the best throughput is as good, a share.
        training: weight_decay, dropout, optimizer, clip_norm, loss and strategy, as of `shoal.fit`.

    Raises:
        ValueError: a size is above the number of samples, or not one of them fits the device.

    >>> import equinox as eqx, jax
    >>> class Line(eqx.Module):
    ...     w: jax.Array
    ...
    ...     def __call__(self, x, timespans=None, *, mask=None, key=None):
    ...         return x @ self.w
    >>> x = np.ones((64, 3), np.float32)
    >>> crowd = Population.init(lambda key: Line(jax.random.normal(key, (3, 1))), n_models=3)
    >>> found = batch_size(crowd, (x, x[:, :1]), sizes=(16, 64))
    >>> found.suggestion in (16, 64), [one.bytes is not None for one in found.measured]
    (True, [True, True])
    """
    stepping, limit = Stepping.of(population, train, **training), device_limit()
    sizes = doublings(stepping.count) if sizes is None else sorted(sizes)
    _check(sizes, stepping.count, rows, repeats, within)
    measured = sweep(sizes, lambda size: _timed(stepping, size, rows, repeats, limit))
    return BatchSizes(measured, limit, *choice(measured, within))


def doublings(count: int, first: int = 16) -> list[int]:
    """
    >>> doublings(100), doublings(5)
    ([16, 32, 64], [5])
    """
    return [first << i for i in range(64) if first << i <= count] or [count]


def sweep(sizes: Sequence[int], measure: Callable[[int], Measured]) -> tuple[Measured, ...]:
    """Every size measured, up to the first that the device has no room for."""
    found = []
    for size in sizes:
        try:
            found.append(measure(size))
        except Exception as error:
            if not isinstance(error, TooLarge) and not ran_out(error):
                raise
            needed = getattr(error, "needed", None)
            said = str(error) if isinstance(error, TooLarge) else "ran out of memory"
            found.append(Measured(size, None, needed, said))
            break
    return tuple(found)


def choice(measured: Sequence[Measured], within: float = 0.1) -> tuple[int, str]:
    """The smallest size within a share of the best throughput, and the reason in words.

    >>> choice([Measured(16, 900.0), Measured(32, 1850.0), Measured(64, 2000.0)])
    (32, 'the smallest size within 10 % of the best throughput, 2,000 rows a second at 64')

    Raises:
        ValueError: not one size ran.
    """
    speeds = {one.size: one.rows_per_second for one in measured if one.rows_per_second is not None}
    lost = [one for one in measured if one.rows_per_second is None]
    if not speeds:
        raise ValueError(f"not even batches of {lost[0].size} fit the device: {lost[0].reason}")
    fastest = max(speeds, key=lambda size: speeds[size])
    chosen = min(size for size, speed in speeds.items() if speed >= (1 - within) * speeds[fastest])
    said = (
        f"the smallest size within {100 * within:.0f} % of the best throughput, "
        f"{speeds[fastest]:,.0f} rows a second at {fastest}"
    )
    return chosen, said + "".join(f"; {one.size} is too large: {one.reason}" for one in lost)


def _timed(stepping: Stepping, size: int, rows: int, repeats: int, limit: int | None) -> Measured:
    """The median of so many passes; the first, which compiles, is not timed."""
    order = _order(stepping.count, size, max(1, rows // size))
    still, weighed = np.zeros(len(order.rows)), []
    programs = [group.program for group in stepping.groups]
    for group in stepping.groups:
        group.program = Weighed(group.program, limit)
        weighed.append(group.program)
    try:
        _seconds(stepping, order, still)
        seconds = _passes(lambda: _seconds(stepping, order, still), repeats)
    finally:
        for group, program in zip(stepping.groups, programs, strict=True):
            group.program = program
    needed = [one.needed for one in weighed]
    total = None if None in needed else max(needed)
    return Measured(size, order.rows.size / float(np.median(seconds)), total)


def _passes(one: Callable[[], float], repeats: int) -> list[float]:
    """So many passes at least, more of short ones."""
    seconds = [one() for _ in range(repeats)]
    while sum(seconds) < _STEADY and len(seconds) < _MOST:
        seconds.append(one())
    return seconds


def _seconds(stepping: Stepping, order: Order, rates: np.ndarray) -> float:
    start = time.perf_counter()
    stepping.take(order, rates)
    return time.perf_counter() - start


def _order(count: int, size: int, batches: int) -> Order:
    rows = (np.arange(batches * size, dtype=np.int32) % count).reshape(batches, size)
    return Order(rows, np.ones(rows.shape, np.float32))


def _check(sizes: Sequence[int], count: int, rows: int, repeats: int, within: float) -> None:
    if not sizes or sizes[0] < 1 or sizes[-1] > count:
        raise ValueError(
            f"`sizes` must lie in 1 to {count}, the number of samples, got {list(sizes)}; "
            "leave out the others"
        )
    for name, value in (("rows", rows), ("repeats", repeats)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value}")
    if not 0 <= within < 1:
        raise ValueError(f"`within` must be a share in [0, 1), got {within:g}")
