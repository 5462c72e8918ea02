"""The gated recurrent unit, with the gate order of PyTorch.

    r, z = σ(W x + U h + b)                              (reset, update: 2N rows)
    n    = tanh(W_n x + b_n + r·(U_n h + c_n))
    h'   = (1 − z)·n + z·h

Source: Cho et al. 2014, in the form whose reset gate acts after the recurrent product.
"""

from __future__ import annotations

from shoal.equations.activations import sigmoid
from shoal.equations.arrays import split
from shoal.equations.parameters import Constant, Parameter, Weights

TABLE = (
    Parameter("input_weight", ("gates", "inputs"), Weights(), symbol="W"),
    Parameter("input_bias", ("gates",), Constant(0.0), symbol="b"),
    Parameter("recurrent_weight", ("gates", "units"), Weights("orthogonal"), symbol="U"),
    Parameter("candidate_bias", ("units",), Constant(0.0), symbol="c_n"),
)


def dimensions(input_size: int, units: int) -> dict[str, int]:
    """The numbers behind the table's dimensions."""
    return {"inputs": input_size, "units": units, "gates": 3 * units}


def update(xp, projected, recurrent, candidate_bias, hidden):
    """The next h from W x + b and U h, both (..., 3N), and h, (..., N)."""
    r, z, n = split(xp, projected, 3)
    heard_r, heard_z, heard_n = split(xp, recurrent, 3)
    reset, keep = sigmoid(xp, r + heard_r), sigmoid(xp, z + heard_z)
    candidate = xp.tanh(n + reset * (heard_n + candidate_bias))
    return candidate + keep * (hidden - candidate)
