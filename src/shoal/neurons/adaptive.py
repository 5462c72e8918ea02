"""An adaptive solver for a neuron's differential equation, by diffrax.

    dv/dt = slope(v, x) over `elapsed`, solved as dv/ds = elapsed·slope(v, x) from s = 0 to 1

Every series takes the steps that its own elapsed time and stiffness need, so its result does not
depend on its neighbours in the batch. The method is Tsitouras' 5(4) pair (2011).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

MAX_STEPS = 4096

# (v, x) -> dv/dt, with the batch innermost
Slope = Callable[[Float[Array, "units batch"], Float[Array, "inputs batch"]], Array]


def solve(
    slope: Slope,
    v: Float[Array, "units batch"],
    inputs: tuple[Float[Array, "inputs batch"], Float[Array, " batch"]],
    tolerance: float,
) -> Float[Array, "units batch"]:
    """v after the time that elapsed; `inputs` are x and that time.

    Raises:
        ImportError: Without the package diffrax.
        RuntimeError: When running, if 4096 steps do not reach the `tolerance`.
    """
    diffrax = _diffrax()
    term = diffrax.ODETerm(lambda s, y, args: args[1] * slope(y[:, None], args[0][:, None])[:, 0])
    solver = diffrax.Tsit5()
    controller = diffrax.PIDController(rtol=tolerance, atol=tolerance)

    def one(v, x, elapsed):
        options = {"args": (x, elapsed), "stepsize_controller": controller}
        options["max_steps"] = MAX_STEPS
        ends = jnp.zeros((), v.dtype), jnp.ones((), v.dtype)
        solution = diffrax.diffeqsolve(term, solver, *ends, None, v, **options)
        return jnp.asarray(solution.ys)[-1]

    return jax.vmap(one, in_axes=(-1, -1, 0), out_axes=-1)(v, *inputs)


def _diffrax():
    try:
        import diffrax
    except ImportError as error:
        raise ImportError(
            "`solver` 'adaptive' needs the package diffrax: pip install 'shoal[ode]'."
        ) from error
    return diffrax
