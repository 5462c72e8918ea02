"""Which way of evaluating a swarm is fastest here: tried, not guessed."""

from __future__ import annotations

import time
from collections.abc import Callable

import equinox as eqx
import jax

from shoal.swarm.evaluate import How, losses
from shoal.swarm.state import SwarmState

REPEATS = 3


def candidates(n_particles: int) -> list[How]:
    """All at once, one by one, and chunks between.

    >>> candidates(64)
    ['vmap', 'map', 8, 32]
    """
    return ["vmap", "map", *(n for n in (8, 32) if n < n_particles)]


def fastest(loss: Callable, state: SwarmState, args: tuple = ()) -> How:
    """The quickest of `candidates` for this loss and this swarm, on this device.

    Compiles each of them once, and runs it a few times.
    """
    seconds = {how: _seconds(loss, state, args, how) for how in candidates(len(state.position))}
    return min(seconds, key=seconds.__getitem__)


def _seconds(loss: Callable, state: SwarmState, args: tuple, how: How) -> float:
    def run() -> float:
        start = time.perf_counter()
        jax.block_until_ready(_evaluate(loss, state, args, how))
        return time.perf_counter() - start

    run()
    return min(run() for _ in range(REPEATS))


@eqx.filter_jit
def _evaluate(loss: Callable, state: SwarmState, args: tuple, how: How):
    return losses(loss, state.form, state.frozen, args, how)(state.position)
