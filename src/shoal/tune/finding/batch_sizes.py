"""The batch size from which larger ones bring little: throughput and memory, measured.

Sizes double up to the number of samples. Each is compiled, weighed against the device's memory, and
timed over the same number of rows, steps of rate 0. All sizes take turns, and the median over the
rounds counts, so that a machine that is busy for a while is unjust to none. The smallest size
within a share of the best throughput is taken, since for one pass over the data a smaller batch
takes more steps, and learns more.
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

_STEADY, _MOST = 0.05, 50  # seconds of passes that are enough in a round, and passes


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
        repeats: rounds, of which the median counts.
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
    jitted = stepping.programs
    passes, lost = sweep(sizes, lambda size: Pass.of(stepping, jitted, size, rows, limit))
    measured = (*timed(passes, repeats), *lost)
    return BatchSizes(measured, limit, *choice(measured, within))


def doublings(count: int, first: int = 16) -> list[int]:
    """
    >>> doublings(100), doublings(5)
    ([16, 32, 64], [5])
    """
    return [first << i for i in range(64) if first << i <= count] or [count]


@dataclass(frozen=True)
class Pass:
    """Some batches of one size, and the programs that learn from them."""

    size: int
    stepping: Stepping
    order: Order
    programs: tuple[Weighed, ...]

    @classmethod
    def of(
        cls, stepping: Stepping, programs: Sequence[Any], size: int, rows: int, limit: int | None
    ) -> Pass:
        """Compiled, weighed, and run once."""
        order = _order(stepping.count, size, max(1, rows // size))
        own = tuple(Weighed(program, limit) for program in programs)
        made = cls(size, stepping, order, own)
        made.seconds()
        return made

    @property
    def bytes(self) -> int | None:
        """That the largest of the programs needs."""
        needed = [program.needed for program in self.programs if program.needed is not None]
        return max(needed, default=None)

    def seconds(self) -> float:
        """That a pass takes."""
        self.stepping.use(self.programs)
        start = time.perf_counter()
        self.stepping.take(self.order, np.zeros(len(self.order.rows)))
        return time.perf_counter() - start


def sweep(
    sizes: Sequence[int], ready: Callable[[int], Any]
) -> tuple[list[Any], tuple[Measured, ...]]:
    """What is `ready` of every size, up to the first that the device has no room for."""
    found = []
    for size in sizes:
        try:
            found.append(ready(size))
        except Exception as error:
            if not isinstance(error, TooLarge) and not ran_out(error):
                raise
            needed = getattr(error, "needed", None)
            said = str(error) if isinstance(error, TooLarge) else "ran out of memory"
            return found, (Measured(size, None, needed, said),)
    return found, ()


def timed(passes: Sequence[Pass], repeats: int) -> list[Measured]:
    """The passes' throughput, the median over rounds; in each all sizes take their turn."""
    rounds = [[_steady(one.seconds) for one in passes] for _ in range(repeats)]
    found = []
    for one, seconds in zip(passes, zip(*rounds, strict=True), strict=True):
        speed = one.order.rows.size / float(np.median(seconds))
        found.append(Measured(one.size, speed, one.bytes))
    return found


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


def _steady(one: Callable[[], float]) -> float:
    """The median of enough passes to be told from the clock's own unrest."""
    seconds = [one()]
    while sum(seconds) < _STEADY and len(seconds) < _MOST:
        seconds.append(one())
    return float(np.median(seconds))


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
