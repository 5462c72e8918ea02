"""The long short-term memory, with the gate order of `ncps`.

    a, i, f, o = W x + U h + b         (4N rows: input, input gate, forget gate, output gate)
    c' = c·σ(f + 1) + tanh(a)·σ(i)
    h' = tanh(c')·σ(o)

The forget gate is biased by one, so that a new memory remembers. Sources: Hochreiter &
Schmidhuber 1997; Gers et al. 2000; as the memory of a liquid network, Lechner & Hasani 2020.
"""

from __future__ import annotations

from shoal.equations.activations import sigmoid
from shoal.equations.arrays import split
from shoal.equations.parameters import Parameter, Uniform, Weights

FORGET_BIAS = 1.0

TABLE = (
    Parameter("input_weight", ("gates", "inputs"), Weights(), symbol="W"),
    Parameter("input_bias", ("gates",), Uniform(-0.1, 0.1), symbol="b"),
    Parameter("recurrent_weight", ("gates", "units"), Weights("orthogonal"), symbol="U"),
)


def dimensions(input_size: int, units: int) -> dict[str, int]:
    """The numbers behind the table's dimensions."""
    return {"inputs": input_size, "units": units, "gates": 4 * units}


def update(xp, gates, cell):
    """The next (h, c) from the gates before their non-linearities, (..., 4N), and c, (..., N)."""
    a, i, f, o = split(xp, gates, 4)
    cell = cell * sigmoid(xp, f + FORGET_BIAS) + xp.tanh(a) * sigmoid(xp, i)
    return xp.tanh(cell) * sigmoid(xp, o), cell
