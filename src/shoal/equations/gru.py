"""The gated recurrent unit, with the gate order of PyTorch.

    r, z = σ(W x + U h + b)                              (reset, update: 2N rows)
    n    = tanh(W_n x + b_n + r·(U_n h + c_n))
    h'   = (1 − z)·n + z·h

Source: Cho et al. 2014, in the form whose reset gate acts after the recurrent product.
"""

from __future__ import annotations

from shoal.equations.activations import sigmoid
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
    n = hidden.shape[-1]
    gates = projected[..., : 2 * n] + recurrent[..., : 2 * n]
    gates = sigmoid(xp, gates)
    reset, keep = gates[..., :n], gates[..., n:]
    candidate = recurrent[..., 2 * n :] + candidate_bias
    candidate = xp.tanh(projected[..., 2 * n :] + reset * candidate)
    return candidate + keep * (hidden - candidate)
