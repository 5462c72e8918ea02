"""Parameter tables: what a neuron learns, as data.

Every equation's file lists its parameters once, and every framework creates, constrains, saves and
converts them from that list:

    Parameter("gleak", ("units",), Uniform(0.001, 1.0), "positive", "g_l")

`shape` names dimensions, which a mapping of sizes turns into numbers. `constraint` is "none" or
"positive". `symbol` is the letter of the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Constraint = Literal["none", "positive"]


@dataclass(frozen=True)
class Uniform:
    """Starts drawn uniformly from [low, high)."""

    low: float
    high: float


@dataclass(frozen=True)
class Constant:
    """Every entry starts at `value`."""

    value: float


@dataclass(frozen=True)
class Weights:
    """A weight matrix, started by the layer's initialiser; `default` where the user names none."""

    default: str = "xavier_uniform"


@dataclass(frozen=True)
class FromWiring:
    """Starts at one of the wiring's matrices: "adjacency" or "sensory_adjacency"."""

    matrix: str


Start = Uniform | Constant | Weights | FromWiring


@dataclass(frozen=True)
class Parameter:
    """One learned array of a neuron."""

    name: str
    shape: tuple[str, ...]
    start: Start
    constraint: Constraint = "none"
    symbol: str = ""

    def sizes(self, dimensions: Mapping[str, int]) -> tuple[int, ...]:
        """The shape in numbers.

        >>> Parameter("w", ("units", "inputs"), Weights()).sizes({"units": 3, "inputs": 2})
        (3, 2)
        """
        return tuple(dimensions[name] for name in self.shape)
