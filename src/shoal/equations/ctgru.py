"""The continuous-time gated recurrent unit: a memory on many time scales at once.

Every unit keeps M traces ĥ_k, which fade with the fixed time constants τ_k, and what it shows is
their sum h. With Δt the time that elapsed before the observation x, first everything fades:

    ĥ_k ← ĥ_k·e^(−Δt/τ_k),   h = Σ_k ĥ_k

then two gates choose, for retrieval and for storage, the time scales that matter now:

    ln τ^r = R [x, h] + b_r,   r_k = softmax_k(−(ln τ^r − ln τ_k)²)
    ln τ^s = S [x, h] + b_s,   s_k = softmax_k(−(ln τ^s − ln τ_k)²)

and an event is stored where the second says:

    q   = tanh(W [x, Σ_k r_k ĥ_k] + b)
    ĥ_k ← (1 − s_k)·ĥ_k + s_k·q,   h = Σ_k ĥ_k

Since fading comes before storing, an event is visible at its own observation however long the gap
before it was. The scales are τ_{k+1} = √10·τ_k from the smallest, `min_tau`, on: two to a decade.

Symbols: ĥ is (..., units, scales); weights are (units, inputs + units) with x first.

Source: Mozer, Kazakov & Lindsey, "Discrete-event continuous-time recurrent nets", 2017,
arXiv 1710.04110.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

from shoal.equations.arrays import below
from shoal.equations.checks import require_above_zero, require_positive
from shoal.equations.parameters import Constant, Parameter, Weights

PARTS = ("retrieval", "storage", "event")
_ALL = ("units", "inputs_and_units")

TABLE = (
    Parameter("retrieval_weight", _ALL, Weights(), symbol="R"),
    Parameter("retrieval_bias", ("units",), Constant(0.0), symbol="b_r"),
    Parameter("storage_weight", _ALL, Weights(), symbol="S"),
    Parameter("storage_bias", ("units",), Constant(0.0), symbol="b_s"),
    Parameter("event_weight", _ALL, Weights(), symbol="W"),
    Parameter("event_bias", ("units",), Constant(0.0), symbol="b"),
)


def dimensions(inputs: int, units: int) -> dict[str, int]:
    """The numbers behind the table's dimensions."""
    return {"units": units, "inputs_and_units": inputs + units}


def check(units: int, n_scales: int, min_tau: float) -> None:
    """Raises a ValueError for the first argument that cannot be."""
    require_positive(units=units, n_scales=n_scales)
    require_above_zero(min_tau=min_tau)


def log_scales(n_scales: int = 8, min_tau: float = 1.0) -> list[float]:
    """ln τ_k of every scale, in numbers.

    >>> [round(value, 3) for value in log_scales(3)]
    [0.0, 1.151, 2.303]
    """
    return [log(min_tau) + 0.5 * log(10.0) * k for k in range(n_scales)]


def fade(xp, traces, elapsed, log_tau):
    """The traces after `elapsed` without an event; `elapsed` is (..., 1, 1) or a number."""
    return traces * xp.exp(-elapsed * xp.exp(-log_tau))


def choose(xp, log_wanted, log_tau):
    """How much each scale counts, (..., scales), for a wanted ln τ, (...): a softmax.

    Its scores are relative to the wanted scale brought inside the range of scales, so that the
    greatest of them is near 0 whatever is wanted.
    """
    wanted = log_wanted[..., None]
    inside = xp.clip(wanted, log_tau[0], log_tau[-1])
    # (wanted − inside)² − (wanted − ln τ_k)², without the loss of digits
    score = (log_tau - inside) * (2.0 * wanted - inside - log_tau)
    weight = xp.exp(score)
    return weight / xp.sum(weight, axis=-1)[..., None]


def visible(xp, traces):
    """h, what a unit shows: the sum of its traces."""
    return xp.sum(traces, axis=-1)


def split(xp, params: Mapping[str, Any], inputs: int) -> tuple[Any, Any, Any, Any]:
    """The weights as `update` takes them.

    Returns:
        Of x: weight (3 units, inputs) and bias (3 units) of retrieval, storage and event. Of h:
        (2 units, units) for both gates, and (units, units) for the event.
    """
    weights = [params[f"{name}_weight"] for name in PARTS]
    of_x = below(xp, [weight[:, :inputs] for weight in weights])
    bias = xp.concatenate([params[f"{name}_bias"] for name in PARTS], axis=0)
    retrieval, storage, event = (weight[:, inputs:] for weight in weights)
    return of_x, bias, below(xp, [retrieval, storage]), event


def update(xp, projected, traces, elapsed, log_tau, gate_weight, event_weight):
    """The traces after fading for `elapsed` and storing the event.

    Args:
        xp: numpy, jax.numpy, torch or mlx.core.
        projected: what x contributes, biases included, (..., 3 units): retrieval, storage, event.
        traces: ĥ, (..., units, scales).
        elapsed: the time since the observation before, (..., 1, 1) or a number.
        log_tau: ln τ_k, (scales,).
        gate_weight: of h, for retrieval and storage, (2 units, units).
        event_weight: of what was retrieved, (units, units).
    """
    n = traces.shape[-2]
    traces = fade(xp, traces, elapsed, log_tau)
    gates = projected[..., : 2 * n] + visible(xp, traces) @ gate_weight.T
    retrieval = choose(xp, gates[..., :n], log_tau)
    storage = choose(xp, gates[..., n:], log_tau)
    retrieved = xp.sum(retrieval * traces, axis=-1)
    event = xp.tanh(projected[..., 2 * n :] + retrieved @ event_weight.T)
    return (1.0 - storage) * traces + storage * event[..., None]
