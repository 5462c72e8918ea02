"""How synapses are drawn: three pure functions from a size and a seed to signed matrices.

Each returns (adjacency, sensory adjacency), None for what cannot be known before the number of
inputs is. The order of the random numbers is that of `ncps` 1.0.1, so the same seeds give the same
wirings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.int32]
Drawn = tuple[Matrix | None, Matrix | None]


def fully_connected(inputs: int | None, units: int, self_connections: bool, seed: int) -> Drawn:
    """Every synapse, two in three excitatory."""
    rng = np.random.default_rng(seed)
    everywhere = np.ones((units, units), bool)
    if not self_connections:
        np.fill_diagonal(everywhere, False)
    inner = np.zeros((units, units), np.int32)
    inner[everywhere] = _polarities(rng, int(everywhere.sum()))
    if inputs is None:
        return inner, None
    return inner, _polarities(rng, inputs * units).reshape(inputs, units)


def random(inputs: int | None, units: int, sparsity: float, seed: int) -> Drawn:
    """A share `1 − sparsity` of all synapses, without replacement."""
    rng = np.random.default_rng(seed)
    inner = _scatter(rng, units, units, sparsity, draws=1)
    # ncps gives every sensory synapse a polarity twice and keeps the second.
    return inner, None if inputs is None else _scatter(rng, inputs, units, sparsity, draws=2)


def policy(
    inputs: int | None,
    layers: Sequence[Sequence[int]],
    sensory_fanout: int,
    inter_fanout: int,
    recurrent_command_synapses: int,
    motor_fanin: int,
    seed: int,
) -> Drawn:
    """A neural circuit policy over the layers inter, command and motor."""
    if inputs is None:  # the draw begins with the inputs
        return None, None
    rng = np.random.RandomState(seed)  # whose stream ncps uses
    inter, command, motor = layers
    units = len(inter) + len(command) + len(motor)
    inner = np.zeros((units, units), np.int32)
    sensory = np.zeros((inputs, units), np.int32)
    _fan_out(rng, sensory, range(inputs), inter, sensory_fanout)
    _fan_out(rng, inner, inter, command, inter_fanout)
    for _ in range(recurrent_command_synapses):
        source, target = rng.choice(command), rng.choice(command)
        inner[source, target] = rng.choice([-1, 1])
    _fan_out(rng, inner.T, motor, command, motor_fanin)
    return inner, sensory


def _fan_out(
    rng: np.random.RandomState,
    matrix: Matrix,
    sources: Sequence[int],
    targets: Sequence[int],
    fan: int,
) -> None:
    """`fan` synapses from every source, then some into every target that got none."""
    reached: set[int] = set()
    for source in sources:
        for target in rng.choice(targets, size=fan, replace=False):
            reached.add(int(target))
            matrix[source, target] = rng.choice([-1, 1])
    mean = min(max(len(sources) * fan // len(targets), 1), len(sources))
    for target in targets:
        if target not in reached:
            for source in rng.choice(sources, size=mean, replace=False):
                matrix[source, target] = rng.choice([-1, 1])


def _scatter(
    rng: np.random.Generator, sources: int, units: int, sparsity: float, draws: int
) -> Matrix:
    count = int(np.round(sources * units * (1 - sparsity)))
    matrix = np.zeros(sources * units, np.int32)
    chosen = rng.choice(sources * units, size=count, replace=False)
    matrix[chosen] = _polarities(rng, draws * count)[draws - 1 :: draws]
    return matrix.reshape(sources, units)


def _polarities(rng: np.random.Generator, count: int) -> Matrix:
    return rng.choice(np.array([-1, 1, 1], np.int32), size=count)
