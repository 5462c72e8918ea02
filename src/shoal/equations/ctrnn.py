"""The continuous-time recurrent neuron: a leaky integrator of a non-linear drive.

    dv/dt = −v/τ + f(W x + U v + b)

An observation that comes Δt after the one before it takes `unfolds` steps of δ = Δt/unfolds. The
exponential Euler step solves the leak exactly with the drive held at the old v:

    v ← v·e^(−δ/τ) + τ·(1 − e^(−δ/τ))·f(W x + U v + b)

It is stable for every δ ≥ 0, and δ = 0 leaves v as it was. The explicit Euler step
v ← v + δ·(−v/τ + f) diverges for δ > 2τ. The leaky drive keeps |v| ≤ τ·max|f| from there on.

Symbols: v the state, x the input, τ the time constant of each neuron, positive as the softplus of
what is learned, f the activation. W, U and b are `input_weight` (units, inputs),
`recurrent_weight` (units, units), `bias`; U's rows are the neurons after the synapse.

Sources: Funahashi & Nakamura, "Approximation of dynamical systems by continuous time recurrent
neural networks", Neural Networks 1993. Exponential Euler: Hochbruck & Ostermann, "Exponential
integrators", Acta Numerica 2010.
"""

from __future__ import annotations

from collections.abc import Callable
from math import expm1, log
from typing import Any

from shoal.equations.activations import find_activation, softplus
from shoal.equations.checks import require_above_zero, require_one_of, require_positive
from shoal.equations.parameters import Constant, Parameter, Weights


def table(tau: float = 1.0) -> tuple[Parameter, ...]:
    """What the neuron learns, every time constant starting at `tau`.

    >>> [parameter.name for parameter in table()]
    ['input_weight', 'recurrent_weight', 'bias', 'tau']
    """
    return (
        Parameter("input_weight", ("units", "inputs"), Weights(), symbol="W"),
        Parameter("recurrent_weight", ("units", "units"), Weights("orthogonal"), symbol="U"),
        Parameter("bias", ("units",), Constant(0.0), symbol="b"),
        Parameter("tau", ("units",), Constant(unsoftplus(tau)), "positive", "τ"),
    )


def unsoftplus(value: float) -> float:
    """The number whose softplus is `value`.

    >>> round(unsoftplus(1.0), 4)
    0.5413
    """
    return value + log(-expm1(-value))


def time_constant(xp, tau):
    """τ of what is learned."""
    return softplus(xp, tau)


def exponential(xp, v, drive, step, tau):
    """Exponential Euler: the leak exactly, the drive held."""
    remains = xp.exp(-step / tau)
    return v * remains + tau * (1.0 - remains) * drive


def euler(xp, v, drive, step, tau):
    """Explicit Euler; diverges where the step exceeds 2τ."""
    return v + step * (drive - v / tau)


SOLVERS: dict[str, Callable[..., Any]] = {"exponential": exponential, "euler": euler}


def check(units: int, ode_unfolds: int, solver: str, tau: float, activation: str) -> None:
    """Raises a ValueError for the first argument that cannot be."""
    require_one_of("solver", solver, SOLVERS)
    require_positive(units=units, ode_unfolds=ode_unfolds)
    require_above_zero(tau=tau)
    find_activation(activation)


def update(xp, projected, v, elapsed, tau, drive, *, solver="exponential", unfolds=6):
    """v after `elapsed`, in `unfolds` steps of one of `SOLVERS`.

    Args:
        xp: numpy, jax.numpy, torch or mlx.core.
        projected: W x + b, (..., units).
        v: the state, (..., units).
        elapsed: the time since the observation before, (..., 1) or a number.
        tau: time constants, positive, (units,).
        drive: (projected, v) -> f(projected + U v), which knows U and f.
        solver: "exponential" or "euler".
        unfolds: how many steps.
    """
    step = elapsed / unfolds
    for _ in range(unfolds):
        v = SOLVERS[solver](xp, v, drive(projected, v), step, tau)
    return v
