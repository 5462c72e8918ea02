"""The liquid time-constant neuron: a leaky membrane whose synapses are conductances.

    cm·dv/dt = gleak·(vleak − v) + Σᵢ Wᵢ·(erevᵢ − v) + Σₖ Sₖ·(sensory_erevₖ − v)
    Wᵢ = w·σ(sigma·(vᵢ − mu)),   Sₖ the same with the sensory parameters and the mapped input xₖ

A synapse opens with the activity of the neuron before it, and then pulls the membrane towards its
reversal potential erev. Since the Wᵢ also stand in front of v, the neuron's time constant
cm/(gleak + ΣW + ΣS) follows its input: it is liquid. Everything is of the form

    cm·dv/dt = pull − conductance·v,   pull = gleak·vleak + ΣW·erev + ΣS·sensory_erev,
                                       conductance = gleak + ΣW + ΣS

and the solvers below know nothing else. An observation that comes Δt after the one before it takes
`unfolds` steps of δ = Δt/unfolds. The semi-implicit step, with the synapses taken at the old v and
the rest at the new one, is stable for every δ ≥ 0:

    v ← (cm·v + δ·pull) / (cm + δ·(conductance + ε))

which is the usual (cm/δ·v + pull)/(cm/δ + conductance + ε), multiplied by δ so that δ = 0 is no
exception: it leaves v as it was.

Symbols (paper): gleak g_l, vleak v_l, cm C_m, w w_ij, sigma σ_ij, mu μ_ij, erev E_ij. Rows of a
matrix are the neurons before the synapse, columns those after it. gleak, cm, w and sensory_w are
positive: either the softplus of what is learned, or what is learned, brought back by `project`
after each step of the training.

Sources: Hasani, Lechner, Amini, Rus, Grosu, "Liquid time-constant networks", AAAI 2021; Lechner et
al., "Neural circuit policies enabling auditable autonomy", Nature Machine Intelligence 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shoal.equations.activations import softplus
from shoal.equations.checks import require_above_zero, require_one_of, require_positive
from shoal.equations.parameters import Constant, FromWiring, Parameter, Uniform

_INNER, _SENSORY = ("units", "units"), ("inputs", "units")

TABLE = (
    Parameter("gleak", ("units",), Uniform(0.001, 1.0), "positive", "g_l"),
    Parameter("vleak", ("units",), Uniform(-0.2, 0.2), "none", "v_l"),
    Parameter("cm", ("units",), Uniform(0.4, 0.6), "positive", "C_m"),
    Parameter("w", _INNER, Uniform(0.001, 1.0), "positive", "w"),
    Parameter("sigma", _INNER, Uniform(3.0, 8.0), "none", "σ"),
    Parameter("mu", _INNER, Uniform(0.3, 0.8), "none", "μ"),
    Parameter("erev", _INNER, FromWiring("adjacency"), "none", "E"),
    Parameter("sensory_w", _SENSORY, Uniform(0.001, 1.0), "positive", "w"),
    Parameter("sensory_sigma", _SENSORY, Uniform(3.0, 8.0), "none", "σ"),
    Parameter("sensory_mu", _SENSORY, Uniform(0.3, 0.8), "none", "μ"),
    Parameter("sensory_erev", _SENSORY, FromWiring("sensory_adjacency"), "none", "E"),
)
INPUT_MAPPING = (
    Parameter("input_w", ("inputs",), Constant(1.0)),
    Parameter("input_b", ("inputs",), Constant(0.0)),
)
OUTPUT_MAPPING = (
    Parameter("output_w", ("outputs",), Constant(1.0)),
    Parameter("output_b", ("outputs",), Constant(0.0)),
)
MAPPINGS = {"affine": 2, "linear": 1, None: 0}  # how many of the two a mapping has
POSITIVE = tuple(entry.name for entry in TABLE if entry.constraint == "positive")

# v -> (pull, conductance)
Forces = Callable[[Any], tuple[Any, Any]]


def table(input_mapping: str | None, output_mapping: str | None) -> tuple[Parameter, ...]:
    """What a neuron with these mappings learns."""
    inputs, outputs = MAPPINGS[input_mapping], MAPPINGS[output_mapping]
    return TABLE + INPUT_MAPPING[:inputs] + OUTPUT_MAPPING[:outputs]


def check(
    input_mapping: str | None, output_mapping: str | None, ode_unfolds: int, epsilon: float
) -> None:
    """Raises a ValueError for the first argument that cannot be."""
    require_one_of("input_mapping", input_mapping, MAPPINGS)
    require_one_of("output_mapping", output_mapping, MAPPINGS)
    require_positive(ode_unfolds=ode_unfolds)
    require_above_zero(epsilon=epsilon)


def positive(xp, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with the positive ones replaced by their softplus."""
    return {k: softplus(xp, v) if k in POSITIVE else v for k, v in params.items()}


def project(xp, params: Mapping[str, Any], epsilon: float = 1e-8) -> dict[str, Any]:
    """The parameters with the positive ones clipped: at 0, the capacitance cm at `epsilon`."""
    floor = {name: epsilon if name == "cm" else 0.0 for name in POSITIVE}
    return {k: _at_least(xp, v, floor[k]) if k in floor else v for k, v in params.items()}


def _at_least(xp, value, floor: float):
    return xp.where(value > floor, value, xp.zeros_like(value) + floor)


def affine(params: Mapping[str, Any], side: str, value):
    """w·value + b with the parameters of a side, "input" or "output", as far as there are any.

    >>> affine({"input_w": 2.0}, "input", 3.0)
    6.0
    """
    if f"{side}_w" in params:
        value = value * params[f"{side}_w"]
    if f"{side}_b" in params:
        value = value + params[f"{side}_b"]
    return value


def fold(w, sigma, mu, erev):
    """What does not change with the activity, worked out once: four constants of every synapse.

    W = w·σ(sigma·(v − mu)) = ½w·(1 + tanh(½sigma·v − ½sigma·mu))
    """
    gain, half = 0.5 * sigma, 0.5 * w
    return gain, gain * mu, half * erev, half


def synapses(xp, before, gain, offset, half_pull, half):
    """(W·erev, W) of every synapse; `before` is the activity of the neuron before it.

    All broadcast against each other, so that synapses may be a matrix or a list.
    """
    open_ = 1.0 + xp.tanh(gain * before - offset)
    return half_pull * open_, half * open_


def matrix_forces(xp, params: Mapping[str, Any], inputs, masks: tuple[Any, Any]) -> Forces:
    """Pull and conductance with all synapses as matrices, those that do not exist masked.

    Args:
        xp: numpy, jax.numpy, torch or mlx.core.
        params: as in the table, the positive ones positive.
        inputs: mapped, (..., inputs).
        masks: 1 where there is a synapse, else 0: (units, units) and (inputs, units).
    """
    p = params
    mask, sensory_mask = masks
    args = (p["sensory_w"] * sensory_mask, p["sensory_sigma"], p["sensory_mu"], p["sensory_erev"])
    both = synapses(xp, inputs[..., None], *fold(*args))
    pull, conductance = (xp.sum(part, axis=-2) for part in both)
    pull = pull + p["gleak"] * p["vleak"]
    conductance = conductance + p["gleak"]
    constants = fold(p["w"] * mask, p["sigma"], p["mu"], p["erev"])

    def forces(v):
        pulls, opennesses = synapses(xp, v[..., None], *constants)
        return pull + xp.sum(pulls, axis=-2), conductance + xp.sum(opennesses, axis=-2)

    return forces


def semi_implicit(forces: Forces, v, step, cm, epsilon: float = 1e-8):
    """Synapses at the old v, membrane at the new one; stable for every step."""
    pull, conductance = forces(v)
    return (cm * v + step * pull) / (cm + step * (conductance + epsilon))


def slope(forces: Forces, v, cm):
    """dv/dt."""
    pull, conductance = forces(v)
    return (pull - conductance * v) / cm


def euler(forces: Forces, v, step, cm, epsilon: float = 1e-8):
    """Explicit Euler; diverges where the step exceeds twice the shortest time constant."""
    return v + step * slope(forces, v, cm)


def rk4(forces: Forces, v, step, cm, epsilon: float = 1e-8):
    """The classical Runge-Kutta method of order 4."""
    k1 = slope(forces, v, cm)
    k2 = slope(forces, v + 0.5 * step * k1, cm)
    k3 = slope(forces, v + 0.5 * step * k2, cm)
    k4 = slope(forces, v + step * k3, cm)
    return v + step * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0


SOLVERS: dict[str, Callable[..., Any]] = {
    "semi_implicit": semi_implicit,
    "euler": euler,
    "rk4": rk4,
}


def update(forces: Forces, v, elapsed, cm, *, solver="semi_implicit", unfolds=6, epsilon=1e-8):
    """v after `elapsed`, in `unfolds` steps of one of `SOLVERS`.

    >>> import numpy as np
    >>> leak_only = lambda v: (0.0, 1.0)
    >>> float(update(leak_only, np.float64(1.0), 2.0, 1.0, solver="rk4").round(4))
    0.1354
    """
    step = elapsed / unfolds
    for _ in range(unfolds):
        v = SOLVERS[solver](forces, v, step, cm, epsilon)
    return v


def time_constant(forces: Forces, v, cm):
    """The time constant at v: cm/conductance."""
    return cm / forces(v)[1]
